# SPDX-License-Identifier: MIT
"""Builds of packages on a hub: planned as data, then submitted so that nothing is submitted twice.

A submission carries a mark of its own in its options (`custom_user_metadata`, which the hub keeps with the
task). Where the connection breaks while a build is submitted, the hub is asked for a task of ours with that
mark before anything is sent again.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.errors import InputError, RemoteError
from builder.koji.faults import Lost
from builder.koji.hub import Call, Hub
from builder.koji.tasks import make_task
from builder.report import Report

# Relative to koji.PRIO_DEFAULT; higher is later.
BACKGROUND = 5
MARK = "openstack-builder"
# A task of ours is searched for among the last day's: the hub's clock is not ours.
LOOK_BACK = 86400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskOptions:
    """How builds are made: `arches` and `scratch` as Koji's --arch-override and --scratch.

    `conditions` of the specs that are on (`--with`), and off (`without`).
    """

    scratch: bool = True
    arches: tuple[str, ...] = ()
    background: bool = False
    conditions: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """One build to submit.

    `source` is the source RPM to upload, or the SCM address that the hub clones; `link` counts the links of
    the chain, 0 for the first.
    """

    package: str
    target: str
    hub_target: str
    source: Path | str
    link: int = 0
    mark: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"{self.package} for {self.target}"

    @property
    def folder(self) -> str:
        """Where its source RPM goes in the hub's work area: a folder nobody else uses."""
        return f"cli-build/{self.mark}"

    def calls(self, options: TaskOptions) -> tuple[Call, ...]:
        """Return the calls that submit it, in order."""
        calls: list[Call] = []
        source = self.source
        if isinstance(source, Path):
            calls.append(Call("uploadWrapper", (str(source), self.folder)))
            source = f"{self.folder}/{source.name}"
        words: dict[str, Any] = {"scratch": options.scratch, "custom_user_metadata": {MARK: self.mark}}
        if options.arches:
            words["arch_override"] = " ".join(options.arches)
        priority = BACKGROUND if options.background else None
        calls.append(Call("build", (source, self.hub_target, words, priority)))
        return tuple(calls)


def check_options(options: TaskOptions, *, chain: bool, wait: bool = True) -> None:
    """Refuse what Koji cannot do.

    Raises:
        InputError: --arch-override of a real build; a chain of scratch builds, or without waiting.
    """
    if options.arches and not options.scratch:
        raise InputError(
            "--arch-override is for scratch builds: a real build is made for every architecture of the tag",
            hint="leave out --real or --arch-override",
        )
    if chain and options.scratch:
        raise InputError(
            "--chain needs --real: scratch builds never reach the repository that the next link builds from",
            hint="add --real, or leave out --chain",
        )
    if chain and not wait:
        raise InputError(
            "--chain waits for each link before the next is submitted", hint="leave out --nowait or --chain"
        )


def check_targets(
    hub: Hub, submissions: Sequence[Submission], options: TaskOptions
) -> dict[str, dict[str, Any]]:
    """Ask for the build target of each submission, in one request; return them by name.

    Raises:
        RemoteError: the hub has no such target, its destination is locked, or its builds do not have a
            condition that is asked for.
    """
    names = list(dict.fromkeys(one.hub_target for one in submissions))
    found = dict(zip(names, hub.ask_all([Call("getBuildTarget", (name,)) for name in names]), strict=True))
    for name, target in found.items():
        if not target:
            raise RemoteError(
                f"{hub.profile.server}: there is no build target {name}",
                hint="see koji list-targets, and --koji-target",
            )
    tags = hub.ask_all([Call("getTag", (found[name]["dest_tag"],)) for name in names])
    for name, tag in zip(names, tags, strict=True):
        if not tag:
            raise RemoteError(f"{hub.profile.server}: the target {name} has no destination tag")
        if tag.get("locked") and not options.scratch:
            raise RemoteError(
                f"{hub.profile.server}: the tag {tag['name']} of the target {name} is locked",
                hint="a scratch build needs no tag: leave out --real",
            )
    switches = [f"with_{name}" for name in options.conditions] + [
        f"without_{name}" for name in options.without
    ]
    if switches:
        _check_conditions(hub, [target["build_tag"] for target in found.values()], switches)
    return found


def _check_conditions(hub: Hub, tags: Sequence[int], switches: Sequence[str]) -> None:
    """Refuse conditions that the builders would not know of: a source RPM does not carry them.

    Raises:
        RemoteError: with the setting of the tag that switches it on (docs/source/setting_rpm_macros.rst).
    """
    for tag in hub.ask_all([Call("getBuildConfig", (tag,)) for tag in tags]):
        for switch in switches:
            setting, option = f"rpm.macro._{switch}", switch.replace("_", " ", 1)
            if setting not in (tag.get("extra") or {}):
                raise RemoteError(
                    f"{hub.profile.server}: builds from {tag['name']} are made without --{option}",
                    hint=f"the tag decides: koji edit-tag {tag['name']} -x {setting}=1",
                )


def submit(
    hub: Hub,
    submission: Submission,
    options: TaskOptions,
    report: Report,
    *,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Upload the source and submit the build; return the task's number.

    Raises:
        RemoteError: the hub refused, or is gone.
    """
    *uploads, build = submission.calls(options)
    for _ in uploads:
        assert isinstance(submission.source, Path)
        hub.upload(
            submission.source,
            submission.folder,
            lambda sent, total: report.transient(
                f"upload  {submission.label}  {sent >> 10} of {total >> 10} KiB"
            ),
        )
    return submit_once(hub, build, lambda: find_marked(hub, submission.mark), pause=pause)


def submit_once(
    hub: Hub, call: Call, find: Callable[[], int | None], *, pause: Callable[[float], None] = time.sleep
) -> int:
    """Make a call that creates a task, once, whatever the connection does; return the task's number.

    Args:
        find: asks the hub whether the task already exists.

    Raises:
        RemoteError: the hub refused, or the connection broke three times in a row.
    """
    for attempt in range(1, 4):
        try:
            return int(hub.submit(call))
        except Lost as error:
            there = find()
            if there is not None:
                return there
            if attempt == 3:
                raise RemoteError(
                    f"{hub.profile.server}: {call.method}: {error}",
                    hint="nothing was submitted; try again when the hub is up",
                ) from error
        pause(2.0 * attempt)
    raise AssertionError("unreachable")


def find_marked(hub: Hub, mark: str) -> int | None:
    """Return the number of the build task that carries the mark, None where there is none."""
    user = hub.ask("getLoggedInUser")
    rows = hub.ask(
        "listTasks",
        {
            "method": "build",
            "owner": user["id"],
            "createdAfter": time.time() - LOOK_BACK,
            "decode": True,
        },
    )
    for row in rows:
        words = make_task(row).request
        options = words[2] if len(words) > 2 and isinstance(words[2], dict) else {}
        if (options.get("custom_user_metadata") or {}).get(MARK) == mark:
            return int(row["id"])
    return None


def links(submissions: Sequence[Submission]) -> list[list[Submission]]:
    """Return the submissions by the links of their chain, in order."""
    numbers = sorted({one.link for one in submissions})
    return [[one for one in submissions if one.link == number] for number in numbers]
