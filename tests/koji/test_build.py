# SPDX-License-Identifier: MIT
"""Builds on a hub: submitted once, watched, in chains, and explained when they fail."""

from __future__ import annotations

import io
import zlib
from itertools import accumulate
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from builder.errors import InputError, RemoteError
from builder.koji.builds import (
    Submission,
    TaskOptions,
    check_options,
    check_targets,
    find_marked,
    links,
    submit,
)
from builder.koji.failure import explain, fault_of, first_error
from builder.koji.hub import Hub
from builder.koji.repositories import check_chain, wait_for_repository
from builder.koji.tasks import Task, TaskState, make_task, read_trees
from builder.koji.watch import Watch
from builder.report import Report
from tests.koji.conftest import TARGET, HubUnderTest, no_pause
from tests.koji.front import GENERIC
from tests.koji.stand_in_hub import CLOSED, build_fails, build_succeeds

QUIET = Report(quiet=True, err=io.StringIO())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "spam-1-1.src.rpm"
    path.write_bytes(b"spam" * 300_000)
    return path


def submission(source: Path | str, *, link: int = 0) -> Submission:
    return Submission(package="spam", target="epel-9", hub_target=TARGET, source=source, link=link)


def send(hub: HubUnderTest, one: Submission, options: TaskOptions | None = None) -> int:
    return submit(hub.connect(), one, options or TaskOptions(), QUIET, pause=no_pause)


def assert_uploaded(hub: HubUnderTest, one: Submission, source: Path) -> None:
    """Have the hub say what it has of a file."""
    stored = hub.connect().ask("checkUpload", one.folder, source.name, verify="adler32")
    assert stored["size"] == source.stat().st_size
    assert stored["hexdigest"] == f"{zlib.adler32(source.read_bytes()):08x}"


def test_the_source_is_uploaded_whole_and_built_as_scratch(hub: HubUnderTest, source: Path) -> None:
    one = submission(source)

    task = send(hub, one)

    assert_uploaded(hub, one, source)
    (made,) = hub.tasks("build", one.mark)
    assert made.id == task
    assert made.request[:2] == (f"{one.folder}/{source.name}", TARGET)
    assert made.request[2]["scratch"] is True


def test_an_scm_address_is_not_uploaded(hub: HubUnderTest) -> None:
    send(hub, submission("git+https://example.org/spam#main"), TaskOptions(scratch=False))

    assert hub.front.called("build")[0][0] == "git+https://example.org/spam#main"
    assert hub.front.called("build")[0][2]["scratch"] is False
    assert not hub.front.called("checkUpload")


def test_options_reach_the_hub(hub: HubUnderTest, source: Path) -> None:
    send(hub, submission(source), TaskOptions(arches=("x86_64", "aarch64"), background=True))

    words = hub.front.called("build")[0]
    assert words[2]["arch_override"] == "x86_64 aarch64"
    assert words[3] == 5


@pytest.mark.parametrize("harm", ["cut before", "cut after", "offline"])
def test_a_build_is_submitted_once_whatever_the_connection_does(
    hub: HubUnderTest, source: Path, harm: str
) -> None:
    hub.front.harm["build"] = [harm]
    one = submission(source)

    task = send(hub, one)

    assert [made.id for made in hub.tasks("build", one.mark)] == [task]


def test_an_upload_that_is_cut_is_made_again(hub: HubUnderTest, source: Path) -> None:
    hub.front.harm["upload"] = [None, "cut before", "cut before"]
    one = submission(source)

    send(hub, one)

    assert_uploaded(hub, one, source)


def test_an_upload_that_arrives_damaged_submits_nothing(hub: HubUnderTest, source: Path) -> None:
    hub.front.harm["upload"] = ["damage"] * 9

    with pytest.raises(RemoteError, match="checksum"):
        send(hub, submission(source))

    assert not hub.front.called("build")


def test_a_task_is_found_by_its_mark_only(hub: HubUnderTest, source: Path) -> None:
    mine, other = submission(source), submission(source)
    task = send(hub, mine)
    send(hub, other)

    assert find_marked(hub.connect(), mine.mark) == task
    assert find_marked(hub.connect(), "nobody's") is None


def test_a_target_that_the_hub_lacks_is_named_before_anything_is_sent(hub: HubUnderTest) -> None:
    one = Submission(package="spam", target="epel-9", hub_target="nosuch", source="git+x#y")

    with pytest.raises(RemoteError, match="there is no build target nosuch"):
        check_targets(hub.connect(), [one], TaskOptions())

    assert not hub.front.called("build")


def test_a_locked_tag_is_no_obstacle_for_scratch_builds_only(hub: HubUnderTest) -> None:
    hub.stand_in.tags[11]["locked"] = True
    session, one = hub.connect(), submission("git+x#y")

    assert check_targets(session, [one], TaskOptions())
    with pytest.raises(RemoteError, match="epel9-testing of the target epel9-candidate is locked"):
        check_targets(session, [one], TaskOptions(scratch=False))


@pytest.mark.parametrize(
    ("options", "chain", "message"),
    [
        pytest.param(TaskOptions(scratch=False, arches=("x86_64",)), False, "--arch-override", id="arches"),
        pytest.param(TaskOptions(), True, "--chain needs --real", id="chain of scratch builds"),
    ],
)
def test_what_koji_cannot_do_is_refused(options: TaskOptions, chain: bool, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_options(options, chain=chain)


def test_a_watch_notices_the_last_of_many_tasks_soon_and_asks_no_more_often_than_it_may() -> None:
    hub = cast("Hub", SimpleNamespace(profile=SimpleNamespace(poll_interval=6.0)))
    alone, many = (Watch(hub=hub, report=QUIET, pause=no_pause) for _ in range(2))
    running = [20] * 30 + [1] * 300

    pauses = [many._interval(tasks) for tasks in running]

    assert [alone._interval(1) for _ in range(3)] == [6.0] * 3
    assert pauses[:90] == [1.0] * 90
    assert pauses[-1] == 6.0
    earned = accumulate(pause * tasks / 6.0 for pause, tasks in zip(pauses, running, strict=True))
    assert all(polls <= allowed + 1e-6 for polls, allowed in enumerate(earned, 1))


def test_a_watch_follows_all_tasks_with_one_request_a_poll(hub: HubUnderTest, source: Path) -> None:
    stand_in, session = hub.stand_in, hub.connect()
    polls: list[float] = []
    ids = [submit(session, submission(source), TaskOptions(), QUIET) for _ in range(20)]
    before = stand_in.requests

    trees = Watch(hub=session, report=QUIET, pause=polls.append).follow(ids)

    assert {tree.state for tree in trees} == {TaskState.CLOSED}
    assert {child.state for tree in trees for child in tree.children} == {TaskState.CLOSED}
    # A poll is one request, and one more names the hosts when new ones appear.
    assert stand_in.requests - before <= len(polls) + 1 + 2


def test_a_log_gets_a_line_for_each_change(hub: HubUnderTest, source: Path) -> None:
    hub.stand_in.script = build_succeeds
    session, said = hub.connect(), io.StringIO()
    task = submit(session, submission(source), TaskOptions(), QUIET)

    Watch(hub=session, report=Report(err=said), pause=no_pause).follow([task])

    lines = said.getvalue().splitlines()
    assert sum(f"{task}  open" in line for line in lines) == 1
    assert any("closed  noarch  builder2.example.org" in line for line in lines)
    assert "\033" not in said.getvalue()


def test_an_interrupted_watch_says_how_to_go_on(hub: HubUnderTest, source: Path) -> None:
    session, said = hub.connect(), io.StringIO()
    task = submit(session, submission(source), TaskOptions(), QUIET)

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Watch(hub=session, report=Report(err=said), pause=interrupt).follow([task])

    assert f"koji watch --profile here --config {hub.config} {task}" in said.getvalue()


def test_a_failed_build_names_task_host_log_and_the_first_real_error(hub: HubUnderTest, source: Path) -> None:
    hub.stand_in.script = build_fails
    session = hub.connect()
    task = submit(session, submission(source), TaskOptions(), QUIET)
    (tree,) = Watch(hub=session, report=QUIET, pause=no_pause).follow([task])

    (failure,) = explain(session, tree)

    assert tree.state is TaskState.FAILED
    assert failure.task.method == "buildArch"
    assert failure.host == "builder2.example.org"
    assert (failure.log, failure.reason) == ("build.log", "unknown type name 'eggs'")


@pytest.mark.parametrize(
    ("logs", "wanted"),
    [
        pytest.param(
            {"root.log": "DEBUG util.py:448:  No matching package to install: 'python3-eggs'\n"},
            ("root.log", "No matching package to install: 'python3-eggs'"),
            id="a build requirement that does not exist",
        ),
        pytest.param(
            {"root.log": "DEBUG:   - nothing provides python3dist(x) needed by y\n", "build.log": ""},
            ("root.log", "nothing provides python3dist(x) needed by y"),
            id="a requirement of a requirement",
        ),
        pytest.param(
            {"build.log": "x: 29: %{__python3}: not found\nerror: Bad exit status from x (%check)\n"},
            ("build.log", "x: 29: %{__python3}: not found"),
            id="a program that is not there",
        ),
        pytest.param(
            {"build.log": "error: Bad exit status from /var/tmp/rpm-tmp.x (%install)\n"},
            ("build.log", "Bad exit status from /var/tmp/rpm-tmp.x (%install)"),
            id="nothing better than the exit status",
        ),
        pytest.param(
            {"mock_output.log": "ERROR: Could not find useradd in chroot\n"},
            ("mock_output.log", "Could not find useradd in chroot"),
            id="mock itself",
        ),
        pytest.param({"build.log": "all is well\n"}, None, id="no error"),
    ],
)
def test_the_first_real_error_of_logs(logs: dict[str, str], wanted: tuple[str, str] | None) -> None:
    assert first_error(logs) == wanted


def test_a_chain_is_in_the_order_of_its_links() -> None:
    services, environment = submission("git+a#x", link=1), submission("git+b#x", link=0)

    assert links([services, environment]) == [[environment], [services]]


@pytest.fixture
def built(hub: HubUnderTest) -> Task:
    """A finished real build of spam-1-1, tagged and in no repository yet."""
    stand_in = hub.stand_in
    task = stand_in.add_task("build", ["git+a#x", TARGET, {}], [CLOSED])
    stand_in.builds[1] = {
        "build_id": 1, "task_id": task.id, "nvr": "spam-1-1", "name": "spam", "version": "1", "release": "1",
    }  # fmt: skip
    return make_task(task.row())


@pytest.mark.parametrize("requested", [True, False], ids=["on request", "by itself"])
def test_the_next_link_waits_for_the_repository(hub: HubUnderTest, built: Task, requested: bool) -> None:
    waited: list[float] = []
    if not requested:
        hub.stand_in.methods.remove("repo.request")
    hub.stand_in.repositories = [set(), set(), {"spam-1-1"}]

    wait_for_repository(hub.connect(), hub.stand_in.targets[TARGET], [built], QUIET, pause=waited.append)

    assert bool(hub.front.called("repo.request")) is requested
    assert hub.stand_in.repositories == [{"spam-1-1"}]
    assert waited


def test_a_repository_that_never_comes_is_named(hub: HubUnderTest, built: Task) -> None:
    hub.stand_in.repositories = [set()]

    with pytest.raises(RemoteError, match="epel9-build does not hold spam-1-1"):
        wait_for_repository(
            hub.connect(), hub.stand_in.targets[TARGET], [built], QUIET, pause=no_pause, limit=5
        )


def test_a_repository_that_the_hub_cannot_make_is_named(hub: HubUnderTest, built: Task) -> None:
    hub.stand_in.repository_fails = True

    with pytest.raises(RemoteError, match="gave up making a repository of epel9-build: task 77") as caught:
        wait_for_repository(hub.connect(), hub.stand_in.targets[TARGET], [built], QUIET, pause=no_pause)

    assert "taskinfo?taskID=77" in str(caught.value.hint)


def test_a_target_whose_tags_are_apart_cannot_be_chained(hub: HubUnderTest) -> None:
    hub.stand_in.inheritance = []

    with pytest.raises(RemoteError, match="epel9-build does not inherit epel9-testing"):
        check_chain(hub.connect(), hub.stand_in.targets[TARGET])


def test_a_condition_that_the_tag_does_not_switch_on_is_refused(hub: HubUnderTest, source: Path) -> None:
    session, options = hub.connect(), TaskOptions(conditions=("bundled",))

    with pytest.raises(RemoteError, match="epel9-build are made without --with bundled") as caught:
        check_targets(session, [submission(source)], options)

    assert "rpm.macro._with_bundled=1" in str(caught.value.hint)
    hub.stand_in.tag_extra["rpm.macro._with_bundled"] = "1"
    check_targets(session, [submission(source)], options)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        pytest.param("BuildError: mock failed\nmore", "BuildError: mock failed", id="a fault"),
        pytest.param(
            "Traceback (most recent call last):\n  x\nOSError: full\n", "OSError: full", id="traceback"
        ),
        pytest.param("", "it failed", id="nothing"),
    ],
)
def test_what_a_failed_task_says_is_one_line(said: str, wanted: str) -> None:
    assert fault_of({"faultCode": 1, "faultString": said}) == wanted


def test_a_task_that_the_hub_does_not_know_is_an_error(hub: HubUnderTest) -> None:
    with pytest.raises(RemoteError, match="there is no task 987654321"):
        read_trees(hub.connect(), [987654321])


def test_a_hub_that_refuses_in_the_middle_is_one_error(hub: HubUnderTest, source: Path) -> None:
    hub.front.harm["build"] = [(GENERIC, "package spam not in list for tag epel9-testing")]

    with pytest.raises(RemoteError, match="build: package spam not in list for tag epel9-testing"):
        send(hub, submission(source), TaskOptions(scratch=False))
