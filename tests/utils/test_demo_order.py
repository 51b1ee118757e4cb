# SPDX-License-Identifier: MIT
"""openstack-demo-install: what is done at the same time, and what becomes of the rest after a failure."""

import os
import signal
import threading
import time
from argparse import Namespace
from pathlib import Path

import pytest
from openstack_utils.demo import act, command, order, plan, steps, undo
from openstack_utils.errors import UnreachableError, UtilityError
from openstack_utils.host.console import Console

from tests.utils.test_demo_plan import COMPUTE, DATA, EVERYTHING

WHOLE = plan.make_plan(DATA, EVERYTHING, plan.Wish(network="10.20.0.0/24"))
TITLES = {step.title: step for step in WHOLE.steps}


def waits(title: str) -> "set[str]":
    """Return the titles of all that must be done before a step begins."""
    found = {step.title for step in WHOLE.waits_for(TITLES[title])}
    return found.union(*(waits(each) for each in found))


def test_what_a_step_waits_for_comes_before_it() -> None:
    for wish in (plan.Wish(), COMPUTE, plan.Wish(("cinder",), volumes="/srv/volumes", size=1 << 30)):
        made = plan.make_plan(DATA, EVERYTHING, wish)
        for number, step in enumerate(made.steps):
            assert set(made.waits_for(step)) <= set(made.steps[:number]), step.title


def test_databases_wait_for_the_first_and_for_nothing_else_of_others() -> None:
    assert waits("nova: database") == {
        "passwords", "keystone: database", "nova: configuration",
    }  # fmt: skip
    assert "keystone: users, projects, catalog" not in waits("heat: database")


def test_keys_are_made_after_the_database_whose_command_opens_the_log_for_the_service() -> None:
    assert "keystone: database" in waits("keystone: makes /etc/keystone/fernet-keys/0")


def test_services_wait_for_their_own_steps_and_for_the_answers_of_those_that_they_need() -> None:
    before = waits("nova: services")

    own = {"nova: configuration", "nova: database", "nova: libvirt"}
    theirs = {
        "glance: openstack-glance-api answers", "placement: openstack-placement-api answers",
        "neutron: neutron-server answers", "keystone: users, projects, catalog", "account on the bus",
    }  # fmt: skip
    assert own | theirs <= before
    assert not {title for title in before if title.startswith(("heat", "swift", "cinder"))}


def test_the_last_steps_wait_for_all() -> None:
    titles = [step.title for step in WHOLE.steps]

    assert titles[-2:] == ["services still run", "neutron: network"]
    assert waits(titles[-1]) == set(titles[:-1])


def test_what_is_taken_back_goes_one_after_the_other() -> None:
    made = undo.make_plan(WHOLE, plan.Wish(), {}, {"BUS_PASSWORD": "x"})

    assert [len(made.waits_for(step)) for step in made.steps] == list(range(len(made.steps)))


def test_a_kind_without_a_rule_waits_for_all_before_it() -> None:
    first, second = steps.Stop("first", ()), steps.Stop("second", ())

    assert order.find_needs([("a", first), ("b", second)], {}) == {first: (), second: (first,)}


# Seconds until something counts as hanging, on a machine with much other work.
LONGEST = 600


def step(name: str) -> steps.Prepare:
    return steps.Prepare(name, (), "/" + name)


class Steps:
    """Does what the test says for each step; keeps when each began and ended."""

    def __init__(self, work: "dict[str, object]") -> None:
        self.work = work
        self.log: list[str] = []

    def do(self, each: steps.Prepare) -> str:
        self.log.append("begin " + each.title)
        self.work[each.title]()  # type: ignore[operator]
        self.log.append("end " + each.title)
        return "changed"


def run_of(tmp_path: Path) -> command.Run:
    options = Namespace(
        json=False, quiet=True, undo=False, dry_run=False, role=plan.CONTROLLER, output=str(tmp_path)
    )
    return command.Run(options, Console(True))


def made_of(*each: steps.Prepare, needs: "dict[steps.Prepare, tuple[steps.Prepare, ...]]") -> plan.DemoPlan:
    return plan.DemoPlan(("x",), each, (), needs)


def test_steps_that_do_not_wait_for_each_other_are_done_at_the_same_time(tmp_path: Path) -> None:
    both = threading.Barrier(2, timeout=LONGEST)
    a, b, c = step("a"), step("b"), step("c")
    doing = Steps({"a": both.wait, "b": both.wait, "c": lambda: None})

    code = run_of(tmp_path)._do(made_of(a, b, c, needs={a: (), b: (), c: (a, b)}), doing)

    assert code == 0
    assert set(doing.log[:2]) == {"begin a", "begin b"}
    assert doing.log[-2:] == ["begin c", "end c"]


def test_a_failure_lets_others_end_and_begins_no_more(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    both = threading.Barrier(2, timeout=LONGEST)

    def fail() -> None:
        both.wait()
        raise UnreachableError("no answer", hint="look")

    def go_on() -> None:
        both.wait()
        time.sleep(0.2)

    a, b, c = step("a"), step("b"), step("c")
    doing = Steps({"a": fail, "b": go_on, "c": lambda: None})

    code = run_of(tmp_path)._do(made_of(a, b, c, needs={a: (), b: (), c: (b,)}), doing)

    said = capfd.readouterr().err
    assert code == 5
    assert "error: a: no answer\nhint: look\n" in said
    assert "done: b\nnot done: a; c\n" in said
    assert "begin c" not in doing.log


def test_all_that_failed_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    both = threading.Barrier(2, timeout=LONGEST)

    def fail() -> None:
        both.wait()
        raise UtilityError("broken")

    a, b = step("a"), step("b")

    code = run_of(tmp_path)._do(made_of(a, b, needs={a: (), b: ()}), Steps({"a": fail, "b": fail}))

    said = capfd.readouterr().err
    assert code == 1
    assert ("error: a: broken" in said, "error: b: broken" in said) == (True, True)


def test_a_signal_ends_the_programs_of_all_steps_under_way(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = run_of(tmp_path)
    there = [tmp_path / name for name in "ab"]
    script = f"touch $0; exec sleep {10 * LONGEST}"
    a, b = (steps.Prepare(path.name, (("sh", "-c", script, str(path)),), "/none") for path in there)
    c = step("c")
    acting = act.Acting(None, {}, stop=run.stop)

    def send() -> None:
        while not all(path.exists() for path in there):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    sender = threading.Thread(target=send)
    try:
        run.stop.catch_signals()
        sender.start()
        begun = time.monotonic()
        code = run._do(made_of(a, b, c, needs={a: (), b: (), c: (a, b)}), acting)
    finally:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, before)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sender.join()

    said = capfd.readouterr().err
    assert (code, time.monotonic() - begun < LONGEST) == (130, True)
    assert (
        said == "error: interrupted\ndone: nothing\nnot done: a; b; c\nthe same command goes on from here\n"
    )
