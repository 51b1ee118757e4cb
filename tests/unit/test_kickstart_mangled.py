# SPDX-License-Identifier: MIT
"""Whatever a kickstart says, the answer is a plan or errors with file and line: never a traceback."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.errors import InputError, Problem
from builder.kickstart.choices import Choices
from builder.kickstart.commands import COMMANDS, SECTIONS
from builder.kickstart.images import KICKSTARTS
from builder.kickstart.plan import ImagePlan
from builder.kickstart.planner import load_plan
from builder.kickstart.show import describe, plan_as_json
from builder.kickstart.versions import known_versions
from builder.targets import load_targets

LINES = tuple(
    dict.fromkeys(
        line
        for path in sorted(KICKSTARTS.rglob("*.ks"))
        for line in path.read_text().splitlines()
        if not line.startswith("#")
    )
)
OPTIONS = (
    *sorted({option for row in {**COMMANDS, **SECTIONS}.values() for option in row.options}),
    *("--", "-", "--nothing"),
)
VALUES = (
    "",
    "=",
    "=1",
    "=-1",
    "=a",
    "='",
    '="a b"',
    "=/",
    "=$",
    "=%",
    "=\\",
    "=a,b",
    "=0",
    "=99999999999999999999",
)

words = st.one_of(
    st.sampled_from(OPTIONS),
    st.builds(str.__add__, st.sampled_from(OPTIONS), st.sampled_from(VALUES)),
    st.sampled_from(["/", "swap", "pv.01", "a(b", "@", "-", "%", "'", '"', "#", "\\", "..", "{}", "[", "*"]),
    st.text(max_size=8),
)
command_lines = st.builds(
    lambda name, rest: " ".join([name, *rest]),
    st.sampled_from([*COMMANDS, *SECTIONS, "%include", "%end", "%ksappend", "#version="]),
    st.lists(words, max_size=5),
)
lines = st.one_of(st.sampled_from(LINES), command_lines, st.text(max_size=20))
kickstarts = st.lists(lines, max_size=14).map("\n".join)

TARGETS = {target.name: target for target in load_targets()}


@given(
    text=kickstarts,
    version=st.sampled_from(known_versions()) | st.none(),
    target=st.sampled_from(sorted(TARGETS)),
    scripts_ran=st.booleans(),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_mangled_kickstart_is_a_plan_or_errors(
    text: str, version: str | None, target: str, scripts_ran: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mangled.ks")
        path.write_bytes(text.encode("utf-8", "surrogatepass"))

        plan: ImagePlan | None = None
        problems: tuple[Problem, ...] = ()
        try:
            plan = load_plan(
                path,
                target=TARGETS[target],
                choices=Choices(ksversion=version, disk_size=4096),
                pre_files={} if scripts_ran else None,
            )
        except InputError as error:
            problems = error.problems

    assert (plan is None) is bool(problems)
    for problem in problems:
        assert "\n" not in problem.message
        assert problem.where or str(path) in problem.message
    if plan is not None:
        assert plan.disk.size is None or plan.disk.size <= 4096
        assert describe(plan)
        assert plan_as_json(plan)


@pytest.mark.slow
@given(data=st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_bytes_are_a_plan_or_errors(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bytes.ks")
        path.write_bytes(data)
        with pytest.raises(InputError):  # no random bytes have a partition for /
            load_plan(path, target=TARGETS["fedora-45"])
