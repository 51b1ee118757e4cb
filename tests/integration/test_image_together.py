# SPDX-License-Identifier: MIT
"""Several images in one command: what each would be alone, with what they share done once."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from builder.files import WORK_PREFIX
from tests.rig.fixture.synthetic import SyntheticRepository
from tests.support.imaging import Bench, kickstart, processes_of, traces

LONGEST = 1800


def text(made: str, packages: str = "setuid") -> str:
    """A kickstart whose %post makes a file."""
    return kickstart(packages=packages, tail=f"%post --erroronfail\necho {made} >/etc/made\n%end\n")


def command(bench: Bench, texts: dict[str, str], *options: str) -> list[str]:
    """Write the kickstarts NAME.ks, and return the command that builds all of them."""
    words = bench.command(text("alone"), *options)
    place = words.index(str(bench.folder / "test.ks"))
    for name, content in texts.items():
        (bench.folder / f"{name}.ks").write_text(content)
    return [*words[:place], *(str(bench.folder / f"{name}.ks") for name in texts), *words[place + 1 :]]


def build(bench: Bench, texts: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """Build all to the end."""
    return subprocess.run(
        command(bench, texts, *options),
        env=bench.environment(), capture_output=True, text=True, timeout=LONGEST, check=False,
    )  # fmt: skip


def image(bench: Bench, name: str) -> Path:
    """Where an image lands."""
    return bench.out / name / f"{name}.qcow2"


def leftovers(bench: Bench) -> list[str]:
    """Work folders in the out folder."""
    return [path.name for path in bench.out.glob(f"{WORK_PREFIX}*")]


@pytest.fixture
def own(tmp_path: Path, synthetic: SyntheticRepository) -> Bench:
    """A bench with nothing in its cache."""
    return Bench(tmp_path, synthetic)


def test_each_is_what_it_would_be_alone_and_what_they_share_is_done_once(own: Bench, tmp_path: Path) -> None:
    texts = {"one": text("one"), "two": text("two"), "other": text("other", "capable")}

    done = build(own, texts, "-v", "--jobs", "3")

    assert done.returncode == 0, done.stderr
    assert [Path(line).name for line in done.stdout.splitlines()] == ["one.qcow2", "two.qcow2", "other.qcow2"]
    installs = {
        found[1]: found[2] for found in re.finditer(r"^(\w+): \[3/10\] install +(.*)  ", done.stderr, re.M)
    }
    assert sorted("cache" in said for said in (installs["one"], installs["two"])) == [False, True]
    assert "cache" not in installs["other"]
    assert len(re.findall(r"from the cache", done.stderr)) >= 1
    (tmp_path / "alone").mkdir()
    alone = Bench(tmp_path / "alone", own.repository)
    for name, content in texts.items():
        alone.build(content, "--name", name)
        assert image(alone, name).read_bytes() == image(own, name).read_bytes()
    assert leftovers(own) == []


def test_a_second_run_finds_all_of_them_and_says_so_in_json(own: Bench) -> None:
    texts = {"one": text("one"), "two": text("two")}
    assert build(own, texts).returncode == 0
    times = {name: image(own, name).stat().st_mtime_ns for name in texts}

    done = build(own, texts, "--json")

    assert [manifest["name"] for manifest in json.loads(done.stdout)] == ["one", "two"]
    assert done.stderr.count("unchanged") == 2
    assert {name: image(own, name).stat().st_mtime_ns for name in texts} == times


@pytest.mark.parametrize(
    ("broken", "said", "code"),
    [
        pytest.param(
            kickstart(packages="setuid", tail="%post --erroronfail\nexit 7\n%end\n"),
            "status 7",
            1,
            id="a script",
        ),
        pytest.param(text("x", "no-such-package"), "no-such-package", 2, id="a package that is not there"),
    ],
)
def test_one_that_fails_loses_none_of_the_others(own: Bench, broken: str, said: str, code: int) -> None:
    done = build(own, {"bad": broken, "one": text("one"), "two": text("two")}, "--jobs", "2")

    assert done.returncode == code, done.stderr
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert "bad" in error
    assert said in error
    assert [Path(line).name for line in done.stdout.splitlines()] == ["one.qcow2", "two.qcow2"]
    assert image(own, "two").is_file()
    assert not image(own, "bad").exists()
    assert leftovers(own) == []


@pytest.mark.parametrize(
    ("texts", "options", "said"),
    [
        pytest.param({"one": text("1")}, ["--jobs", "0"], "--jobs 0", id="no job"),
        pytest.param({"one": text("1"), "two": text("2")}, ["--name", "x"], "--name x", id="one name"),
        pytest.param(
            {"one": text("1"), "two": "part / --fstype=nothing\n", "three": "wrong\n"},
            [],
            "two.ks:1",
            id="input",
        ),
        pytest.param({"one": text("1"), "two": text("2")}, ["--engine", "dib"], "--engine dib", id="engine"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_built(
    own: Bench, texts: dict[str, str], options: list[str], said: str
) -> None:
    done = build(own, texts, *options)

    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert ("three.ks:1" in done.stderr) is ("three" in texts)
    assert not own.out.exists()


def test_two_images_cannot_have_one_name(own: Bench) -> None:
    (own.folder / "more").mkdir()

    done = build(own, {"one": text("1"), "more/one": text("2")})

    assert done.returncode == 2
    assert "both images would be called one" in done.stderr
    assert not own.out.exists()


def test_plans_of_several_are_a_list(own: Bench) -> None:
    done = build(own, {"one": text("1"), "two": text("2")}, "--plan", "--json")

    assert [plan["name"] for plan in json.loads(done.stdout)] == ["one", "two"]
    assert not own.out.exists()


def test_a_trace_of_several_says_whose_each_program_was(own: Bench) -> None:
    trace = own.folder / "trace.json"

    assert build(own, {"one": text("1"), "two": text("2")}, "--timeline", str(trace)).returncode == 0

    events = json.loads(trace.read_text())["traceEvents"]
    places = {event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert {"one, inside", "two, inside", "one, host", "two, host"} <= places


def test_images_that_are_built_at_the_same_time_get_equal_parts_of_the_memory(own: Bench) -> None:
    tell = '%post\necho "may take $(ulimit -d) KiB"\n%end\n'
    texts = {"one": text("1") + tell, "two": text("2", "capable") + tell}

    assert build(own, texts, "--jobs", "2").returncode == 0

    said = [re.findall(r"^may take (\d+) KiB", (own.out / f"{name}.log").read_text(), re.M) for name in texts]
    assert len(said[0]) == 1
    # What is free changes from moment to moment: equal numbers are parts of one.
    assert said[0] == said[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda one: one.name)
def test_an_end_from_outside_ends_all_of_them(own: Bench, number: signal.Signals) -> None:
    slow = "%post\ntouch /etc/slow\nsleep 300\n%end\n"
    words = command(own, {"one": text("1") + slow, "two": text("2", "capable") + slow}, "-v", "--jobs", "2")
    process = subprocess.Popen(
        words, env=own.environment(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stderr is not None
        waiting = {"one", "two"}
        for line in process.stderr:
            if found := re.match(r"(\w+): \[6/10\]", line):
                waiting.discard(found[1])
            if not waiting:
                break
        process.send_signal(number)
        process.communicate(timeout=LONGEST)
    finally:
        process.kill()

    assert process.returncode == (-number if number == signal.SIGKILL else 130)
    until = time.monotonic() + LONGEST
    while processes_of(own.folder) and time.monotonic() < until:
        time.sleep(0.1)
    assert processes_of(own.folder) == []
    assert traces(own.folder) == []
    assert not image(own, "one").exists()
    if number != signal.SIGKILL:
        assert leftovers(own) == []
    # The next run removes what is left.
    assert build(own, {"one": text("1"), "two": text("2", "capable")}).returncode == 0
    assert leftovers(own) == []
