# SPDX-License-Identifier: MIT
"""How the measure of the sample data counts: by kind, and against what no client can do without."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from tests.rig.bench import sample_data
from tests.rig.bench.one_by_one import COMMANDS, LOGIN, Cost, scale
from tests.rig.bench.sample_data import WAYS, Measured

MEASURED = Measured(
    way=WAYS[0], profile="current", made={"user": 2, "endpoint": 3}, first=5.0, second=1.0, commands=75.0,
    in_turn=6.0, cpu=6.0,
)  # fmt: skip


def test_ten_commands_are_run_and_each_makes_one_object_of_its_kind() -> None:
    commands = [words.split() for kind in COMMANDS.values() for words in kind]

    assert len(commands) == 10
    assert all({"create", "add"} & set(words[:3]) for words in commands)


def test_costs_are_scaled_by_kind() -> None:
    costs = {"user": Cost(wall=2.0, cpu=0.3), "endpoint": Cost(wall=1.0, cpu=0.05), LOGIN: Cost(wall=0.5)}

    found = scale({"user": 2, "endpoint": 3, LOGIN: 1}, costs)

    assert found.wall == 7.5
    assert found.cpu == pytest.approx(0.75)


def test_a_missed_goal_is_reported_with_what_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})

    assert MEASURED.missed() == [
        "password, current: 15 times as fast as the commands, not 20;"
        " what Keystone computes for the floor allows at most 25"
    ]
    assert replace(MEASURED, commands=None).missed() == []
    assert [line.partition(":")[2] for line in replace(MEASURED, first=7.0, commands=150.0).missed()] == [
        " the first run took 7.0 s, not 6 s"
    ]
    assert replace(MEASURED, in_turn=None, cpu=None).missed() == [
        "password, current: 15 times as fast as the commands, not 20"
    ]


def test_medians_are_taken_of_each_number() -> None:
    takes = [MEASURED, replace(MEASURED, first=4.0, cpu=9.0), replace(MEASURED, first=9.0, cpu=7.0)]

    assert sample_data.median(takes) == replace(MEASURED, cpu=7.0)
    assert sample_data.median([replace(MEASURED, commands=None)]).row()[5:7] == ("-", "-")
