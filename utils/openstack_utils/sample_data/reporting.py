# SPDX-License-Identifier: MIT
"""What a run says at its end, on stderr, as tables or as JSON."""

from . import report
from .apply import NOT_DONE


def report_stop(options, console, stopped, deleted):
    """Say what was and what was not done; return the exit code."""
    outcomes = stopped.outcomes
    interrupted = isinstance(stopped.cause, KeyboardInterrupt)
    if interrupted:
        console.say("error: interrupted")
    else:
        console.error(stopped.cause)
    for result in ("created", "updated", NOT_DONE):
        names = [_label(outcome) for outcome in outcomes if outcome.result == result]
        if names:
            console.say("%s (%d): %s" % (result, len(names), ", ".join(names)))
    console.say("the next run goes on from here")
    if options.json:
        message = "interrupted" if interrupted else stopped.cause.message
        console.result(_json(options, console, outcomes, deleted, error=message))
    return 130 if interrupted else stopped.cause.exit_code


def report_end(options, console, outcomes, deleted, written):
    """Say what the run did, and what it left for another."""
    differing = [each for each in outcomes if each.result == "unchanged" and each.step.changes]
    if any(change[0] in ("url", "enabled") for each in differing for change in each.step.changes):
        console.warn("objects that differ: %d; --update corrects them" % len(differing))
    elif differing:
        console.note("objects described otherwise: %d; --update changes that" % len(differing))
    if any(outcome.result == "conflict" for outcome in outcomes):
        console.warn("something is there twice: --prune --yes keeps one of each, or delete it by hand")
    if not options.update:
        tested = [each for each in outcomes if each.step.kind == "user" and each.result == "unchanged"]
        if tested:
            console.note("the passwords of users who were there are not tested; --update does it")
    if options.json:
        console.result(_json(options, console, outcomes, deleted, files=written))
        return
    if not options.quiet:
        console.result(report.render_tables(outcomes))
    console.result(report.render_summary(outcomes, deleted, options.dry_run) + "\n")


def _json(options, console, outcomes, deleted, **more):
    return report.render_json(
        outcomes,
        profile=None if options.file else options.profile,
        dry_run=options.dry_run,
        passwords_tested=options.update,
        deleted=[each.name for each in deleted],
        warnings=console.warnings,
        **more,
    )


def _label(outcome):
    return "%s %s" % (outcome.step.kind, outcome.step.name)
