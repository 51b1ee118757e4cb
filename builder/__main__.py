# SPDX-License-Identifier: MIT
"""Entry point of `openstack-builder`: the one place that exits."""

from __future__ import annotations

import errno
import gc
import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence

from builder.errors import BuildError
from builder.report import Report


class Interrupted(BaseException):
    """A signal that ends us, raised where the work stands so that everything unwinds."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _interrupt(number: int, _frame: object) -> None:
    # One is enough: a second one during the clean-up would leave half of it undone.
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    raise Interrupted(number)


def adopt_source(argv: Sequence[str]) -> None:
    """Let everything be read from the tree that --source names: templates, targets and checks too.

    They are found when the modules that read them are imported (builder.places), so it is done before. A tree
    without targets of its own has packages only: these are built for the targets that are known here.
    """
    words = [*argv, ""]
    for number, word in enumerate(argv):
        option, equals, value = word.partition("=")
        given = value if equals else words[number + 1]
        if option == "--source" and os.path.isfile(os.path.join(given, "specs", "targets.yaml")):
            os.environ["OPENSTACK_BUILDER_SOURCE"] = given


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's own) and return the exit code."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, _interrupt)
    # Whatever the umask was, nobody else may write to what we make.
    os.umask(os.umask(0o077) | 0o022)
    report = Report()
    try:
        # After the handlers of signals are set: these imports take longest.
        from builder import cli

        if argv is None:
            adopt_source(sys.argv[1:])
        args = cli.parse(sys.argv[1:] if argv is None else list(argv))
        report = Report(quiet=args.quiet, verbose=args.verbose, debug=args.debug)
        return cli.run(args, report)
    except BuildError as error:
        report.error(error.lines())
        if report.is_debug:
            traceback.print_exc()
        return error.exit_code
    except Interrupted as interrupted:
        report.error([f"error: interrupted by {signal.Signals(interrupted.number).name}"])
        return 130
    except BrokenPipeError:
        # The reader of stdout has gone (`| head`). Python would complain again while it exits.
        sys.stdout = None
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        report.error([f"error: {where}{(error.strerror or str(error)).lower()}"])
        if report.is_debug:
            traceback.print_exc()
        return 1


class ClosedStream(io.TextIOBase):
    """A stdout that the caller closed: writing to it fails, so that no result is lost unseen."""

    def write(self, _text: str) -> int:
        """Fail, as a write to a closed descriptor does."""
        raise OSError(errno.EBADF, "is closed", "stdout")


def open_missing_streams() -> None:
    """Open the standard streams that the caller closed (`>&-`), before another file gets their numbers.

    Nothing is read from stdin, and what is written to stderr is lost.
    """
    for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        if stream is not None:
            continue
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
    sys.stdin = sys.stdin or os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.stdout or ClosedStream()
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)


# Objects made since, before the collector looks for cycles: there are few, and a run ends soon.
COLLECT_AFTER = 100_000


def entry() -> None:
    """Exit with what main() returns."""
    gc.set_threshold(COLLECT_AFTER)
    open_missing_streams()
    sys.exit(main())


if __name__ == "__main__":
    entry()
