# SPDX-License-Identifier: MIT
"""Errors, signals and SIGKILL at every step of writing: the old files or the new ones."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import config_tool
from tests.support.config_tool import LAUNCHER

OLD = "[s]\na = old\n"
NEW = "[s]\na = new and longer\n"
# id: (files that exist before, arguments)
RUNS = {
    "one file": (["f"], ["--set", "f", "s", "a", "new and longer"]),
    "two files": (
        ["f", "g"],
        ["--set", "f", "s", "a", "new and longer", "--set", "g", "s", "a", "new and longer"],
    ),
    "one new of two": (
        ["f"],
        ["--set", "f", "s", "a", "new and longer", "--set", "g", "s", "a", "new and longer"],
    ),
    "backup": (["f"], ["--backup", "--set", "f", "s", "a", "new and longer"]),
    "in place": (
        ["f", "g"],
        ["--inplace", "--set", "f", "s", "a", "new and longer", "--set", "g", "s", "a", "new and longer"],
    ),
}
ERRORS = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC}


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("shim") / "fault.so"
    source = Path(config_tool.__file__).with_name("fault_shim.c")
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", target, source, "-ldl"]
    subprocess.run(command, check=True)
    return target


class Outcome:
    """A finished run: its code and stderr, the files' texts, names of work files, the step hit."""

    def __init__(self, folder: Path, code: int, err: str) -> None:
        self.code, self.err = code, err
        mark = folder.parent / (folder.name + ".mark")
        self.step = mark.read_text() if mark.exists() else ""
        mark.unlink(missing_ok=True)
        names = sorted(path.name for path in folder.iterdir())
        self.texts = {name: (folder / name).read_text() for name in names if not name.startswith(".")}
        self.work = {name: (folder / name).read_text() for name in names if name.startswith(".")}


def run(folder: Path, shim: Path, arguments: list[str], step: int, action: str, **more: str) -> Outcome:
    environment = {
        **os.environ,
        "LD_PRELOAD": str(shim),
        "FAULT_STEP": str(step),
        "FAULT_ACTION": action,
        "FAULT_MARK": str(folder.parent / (folder.name + ".mark")),
        **more,
    }
    done = subprocess.run(
        [sys.executable, "-ISB", LAUNCHER, *arguments],
        cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False,
        text=True, timeout=600,
    )  # fmt: skip
    return Outcome(folder, done.returncode, done.stderr)


def every_step(folder: Path, shim: Path, case: str, action: str) -> Iterator[Outcome]:
    """Run a case once for each step there is, on fresh files, with the fault at that step."""
    existing, arguments = RUNS[case]
    for step in range(1, 100):
        for path in folder.iterdir():
            path.unlink()
        for name in existing:
            (folder / name).write_text(OLD)
        outcome = run(folder, shim, arguments, step, action)
        if not outcome.step:
            assert step > 4, "the shim saw too few calls: is it loaded?"
            assert outcome.code == 0, outcome.err
            return
        yield outcome
    pytest.fail("no end of steps")


def old_files(case: str) -> dict[str, str]:
    return dict.fromkeys(RUNS[case][0], OLD)


def without_backup(texts: dict[str, str]) -> dict[str, str]:
    assert texts.get("f.bak", OLD) == OLD
    return {name: text for name, text in texts.items() if name != "f.bak"}


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("case", RUNS)
def test_an_error_at_any_step_leaves_the_old_files(folder: Path, shim: Path, case: str, error: str) -> None:
    hit = []
    for outcome in every_step(folder, shim, case, str(ERRORS[error])):
        hit.append(outcome.step)
        if outcome.code == 0:
            # Removing a work file failed, or keeping the old text by a link: both can be spared.
            assert outcome.step in ("unlink", "link")
            continue
        assert outcome.code == 1
        assert outcome.err.startswith("error: ")
        assert outcome.err.count("error: ") == 1
        assert without_backup(outcome.texts) == old_files(case), outcome.step
        assert outcome.work == {} or outcome.step == "unlink", outcome.step
    wanted = {"open", "write", "fsync"} | ({"rename"} if case != "in place" else {"posix_fallocate"})
    assert wanted <= set(hit)


@pytest.mark.parametrize("case", RUNS)
def test_a_signal_at_any_step_leaves_the_old_files_or_the_new(folder: Path, shim: Path, case: str) -> None:
    stopped = 0
    for outcome in every_step(folder, shim, case, "term"):
        texts = without_backup(outcome.texts)
        assert outcome.work == {}, outcome.step
        if outcome.code == 0:
            assert texts == {"f": NEW, **({"g": NEW} if "g" in RUNS[case][1] else {})}
        else:
            assert outcome.code == 128 + 15
            assert texts == old_files(case), outcome.step
            stopped += 1
    assert stopped > 3


@pytest.mark.parametrize("case", [case for case in RUNS if case != "in place"])
def test_sigkill_at_any_step_leaves_every_file_whole_and_the_next_run_cleans_up(
    folder: Path, shim: Path, case: str
) -> None:
    seen = set()
    for outcome in every_step(folder, shim, case, "kill"):
        assert outcome.code == -9
        texts = without_backup(outcome.texts)
        assert set(texts.values()) <= {OLD, NEW}
        assert set(old_files(case)) <= set(texts)
        assert all(".openstack-utils." in name for name in outcome.work)
        seen.add(texts["f"])
        again = run(folder, shim, RUNS[case][1], 0, "none")
        assert again.code == 0, again.err
        assert set(without_backup(again.texts).values()) == {NEW}
        assert again.work == {}, outcome.step
    assert seen == {OLD, NEW}


def test_sigkill_in_place_leaves_a_copy_of_the_old_text(folder: Path, shim: Path) -> None:
    for outcome in every_step(folder, shim, "in place", "kill"):
        for name in ("f", "g"):
            copies = [t for n, t in outcome.work.items() if n.startswith(f".{name}.")]
            assert outcome.texts[name] in (OLD, NEW) or OLD in copies, outcome.step
            cut = outcome.texts[name] != OLD and OLD in copies
            reported = run(folder, shim, ["--inplace", "--set", name, "s", "b", "1"], 0, "none")
            assert ("was cut short" in reported.err) == cut, outcome.step
            assert any(n.startswith(f".{name}.") for n in reported.work) == cut


def test_a_disk_that_stays_full_is_reported_once(folder: Path, shim: Path) -> None:
    (folder / "f").write_text(OLD)
    arguments = ["--set", "f", "s", "a", "x"]
    outcome = run(folder, shim, arguments, 1, str(errno.ENOSPC), FAULT_CALLS="write fsync", FAULT_EVERY="1")
    assert outcome.err == "error: f: no space left on device\n"
    assert (outcome.texts, outcome.work) == ({"f": OLD}, {})


def test_what_cannot_be_put_back_in_place_is_said_and_kept(folder: Path, shim: Path) -> None:
    (folder / "f").write_text(OLD)
    arguments = ["--inplace", "--set", "f", "s", "a", "x"]
    outcome = run(folder, shim, arguments, 1, str(errno.EIO), FAULT_CALLS="ftruncate64", FAULT_EVERY="1")
    assert outcome.code == 1
    assert "damaged, the old text is in " in outcome.err
    assert list(outcome.work.values()) == [OLD]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sets attributes")
@pytest.mark.parametrize("attribute", ["i", "a"])
@pytest.mark.parametrize("words", [[], ["--inplace"]], ids=["replaced", "in place"])
def test_attribute_that_forbids_a_change_is_hinted_at(
    tmp_path: Path, attribute: str, words: list[str]
) -> None:
    path = tmp_path / "f"
    path.write_text(OLD)
    # A tmpfs has none.
    if subprocess.run(["chattr", f"+{attribute}", path], capture_output=True, check=False).returncode:
        pytest.skip("this file system has no such attributes")
    try:
        done = config_tool.process(*words, "--set", path, "s", "a", "new")
    finally:
        subprocess.run(["chattr", f"-{attribute}", path], check=True)

    assert done.code == 1
    assert done.err == (
        f"error: {path}: operation not permitted\n"
        f"hint: lsattr {path} shows whether it is immutable or append-only (chattr)\n"
    )
    assert os.listdir(tmp_path) == ["f"]
    assert path.read_text() == OLD
