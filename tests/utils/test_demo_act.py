# SPDX-License-Identifier: MIT
"""What openstack-demo-install does with the answers of systemd, which is on no machine of the unit tests."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from openstack_utils.demo import act, steps
from openstack_utils.errors import UtilityError

UNIT = "openstack-cinder-scheduler.service"


def stay_up(monkeypatch: pytest.MonkeyPatch, answers: "Iterator[str]") -> "list[float]":
    """Do the step while systemd gives these answers; return the pauses."""
    pauses: list[float] = []
    clock = iter(range(0, 10_000, 20))
    monkeypatch.setattr(
        act, "_ask_systemd", lambda _question, units: [(unit, next(answers)) for unit in units]
    )
    monkeypatch.setattr(act, "_is_waiting", lambda _unit: False)
    monkeypatch.setattr(act.time, "sleep", pauses.append)
    monkeypatch.setattr(act.time, "monotonic", lambda: next(clock))
    act.Acting(None, {}).do(steps.StayUp("services still run", (UNIT,)))
    return pauses


def test_unit_that_systemd_starts_again_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stay_up(monkeypatch, iter(["activating", "activating", "active"])) == [1, 1]


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(["failed"], id="given up"),
        pytest.param(["activating", "inactive"], id="ended after it was started again"),
        pytest.param(["activating"] * 9, id="started again and again"),
    ],
)
def test_unit_that_does_not_come_back_is_named(monkeypatch: pytest.MonkeyPatch, answers: "list[str]") -> None:
    with pytest.raises(UtilityError, match=f"{UNIT} was started, and no longer runs") as caught:
        stay_up(monkeypatch, iter(answers))

    assert caught.value.hint == f"journalctl -u {UNIT}"


@pytest.mark.parametrize("make", [steps.InitDatabase, steps.DropDatabase])
def test_what_openstack_db_warns_of_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: "type[steps.InitDatabase | steps.DropDatabase]"
) -> None:
    report = {
        "services": [{"result": "unchanged"}],
        "warnings": ["the server is old", "root has no password"],
    }
    program = tmp_path / "openstack-db"
    program.write_text(f"#!/bin/sh\necho '{json.dumps(report)}'\n")
    program.chmod(0o755)
    monkeypatch.setattr(act.processes, "find_program", lambda _name: str(program))
    said: list[str] = []

    result = act.Acting(None, {}, warn=said.append).do(make("keystone: database", "keystone"))

    assert result == act.UNCHANGED
    assert said == ["openstack-db: the server is old", "openstack-db: root has no password"]
