# SPDX-License-Identifier: MIT
"""`--dialect crudini` compared with crudini 0.9.6, both as processes: output, file, exit code.

DIFFERENCES is the one list of what is different on purpose, each with its reason.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.config_tool import config
from tests.support.crudini_cases import CASES

CRUDINI = shutil.which("crudini", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")

# (reason, text of f, stdin, arguments, what crudini does, what ours does). `rc`, `out` and `file`
# are compared; what both share is on the left of neither.
DIFFERENCES = [
    (
        "a last line without an end is ended first, so a new section still gets its blank line",
        "[s]\na=1", None, "--set f t b 2",
        {"file": "[s]\na=1\n[t]\nb = 2\n"}, {"file": "[s]\na=1\n\n[t]\nb = 2\n"},
    ),
    (
        "a name that crudini itself cannot find again is written, as there, but warned about",
        "[s]\na=1\n", None, "--set f s x:y 1",
        {"err": ""}, {"err": "warning: f: x:y in [s] will not be read back as given\n"},
    ),
    (
        "deleting an option that only [DEFAULT] has finds nothing, where crudini ends in a traceback",
        "[DEFAULT]\nd=1\n[s]\na=1\n", None, "--del f s d",
        {"rc": 1}, {"rc": 0},
    ),
    (
        "no word is magic: crudini takes `crudini_no_arg` for a missing value",
        "[s]\na = crudini_no_arg\n", None, "--get f s a",
        {"out": "\n"}, {"out": "crudini_no_arg\n"},
    ),
    (
        "--merge keeps a flag a flag, where crudini writes its magic word into the file",
        "[s]\na=1\n", "[s]\nfl\n", "--merge f",
        {"file": "[s]\na=1\nfl = crudini_no_arg\n"}, {"file": "[s]\na=1\nfl\n"},
    ),
    (
        "--merge --list adds to the list; crudini adds nothing",
        "[s]\nl = a\n", "[s]\nl = c\n", "--merge --list f",
        {"file": "[s]\nl = a\n"}, {"file": "[s]\nl = a, c\n"},
    ),
    (
        "--merge keeps an option that its input repeats; crudini keeps the last value",
        "[s]\na=1\n", "[s]\nm=1\nm=2\n", "--merge f",
        {"file": "[s]\na=1\nm = 2\n"}, {"file": "[s]\na=1\nm = 1\nm = 2\n"},
    ),
    (
        "a new empty section from --merge gets the blank line that one from --set gets",
        "[x]\na=1\n", "[s]\nb=1\n[e]\n", "--merge f",
        {"file": "[x]\na=1\n\n[s]\nb = 1\n[e]\n"},
        {"file": "[x]\na=1\n\n[s]\nb = 1\n\n[e]\n"},
    ),
    (
        "--output makes a file that is not there; crudini wants it to exist",
        "[s]\na=1\n", None, "--set --output=out f s a 2",
        {"rc": 1}, {"rc": 0},
    ),
    (
        "too many arguments are an error; crudini drops them without a word",
        "[s]\na=1\n", None, "--set f s a 2 3",
        {"rc": 0, "file": "[s]\na=2\n"}, {"rc": 1, "file": "[s]\na=1\n"},
    ),
    (
        "every new section of a call gets its blank line; crudini gives it to the first only",
        "[x]\na=1\n", None, "--set f s b 1 --set f t c 1",
        {"file": "[x]\na=1\n\n[s]\nb = 1\n[t]\nc = 1\n"},
        {"file": "[x]\na=1\n\n[s]\nb = 1\n\n[t]\nc = 1\n"},
    ),
    (
        "deleting a section leaves the blank lines of the others as they are",
        "[x]\n\n\na=1\n\n[s]\nb=1\n", None, "--del f s",
        {"file": "[x]\na=1\n"}, {"file": "[x]\n\n\na=1\n"},
    ),
    (
        "nothing is printed of a section that is not there; crudini prints its header first",
        "[s]\na=1\n", None, "--get --format=ini f t",
        {"out": "[t]\n"}, {"out": ""},
    ),
    (
        "a list that stays the same is not touched; crudini drops the blank at the line's end",
        "[s]\na = \n", None, "--del --list f s a x",
        {"file": "[s]\na =\n"}, {"file": "[s]\na = \n"},
    ),
    (
        "--ini-options=space means every option; crudini forgets one that had no value before",
        "[s]\na =\n", None, "--set --ini-options=space f s a 1",
        {"file": "[s]\na =1\n"}, {"file": "[s]\na = 1\n"},
    ),
    (
        "deleting [DEFAULT] deletes it wherever it stands; crudini leaves a second header",
        "[DEFAULT]\na=1\n[s]\nb=1\n[DEFAULT]\n", None, "--del f DEFAULT",
        {"file": "[s]\nb=1\n[DEFAULT]\n"}, {"file": "[s]\nb=1\n"},
    ),
    (
        "--merge into a section leaves [DEFAULT] alone; crudini adds its header if the input has one",
        "[s]\na=1\n", "[DEFAULT]\nb=1\n", "--merge f s",
        {"file": "[DEFAULT]\n[s]\na=1\nb = 1\n"}, {"file": "[s]\na=1\nb = 1\n"},
    ),
    (
        "merging nothing changes nothing; crudini adds a [DEFAULT] header",
        "[s]\na=1\n", "", "--merge f DEFAULT",
        {"file": "[DEFAULT]\n[s]\na=1\n"}, {"file": "[s]\na=1\n"},
    ),
]  # fmt: skip
# Further differences that a table of single calls cannot show, tested elsewhere:
# - a created file has mode 0640, not what the umask gives (test_config_basics)
# - hard links are refused without --inplace, not split (test_config_safety)
# - a file owned by somebody else keeps its owner or is refused (test_config_safety)
# - a device named with --output is written to, not replaced by a file (test_config_safety)
# - usage errors and bytes that are not UTF-8 are one line and perhaps a hint, not a page of help
#   or a traceback (test_config_arguments)


class Outcome(NamedTuple):
    rc: int
    out: str
    err: str
    file: str
    files: tuple[str, ...]


def outcome(command: "list[str] | None", content: str, stdin: "str | None", *words: str) -> Outcome:
    """Run a command, or our own main function, in a folder of its own that holds only `f`."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as name:
        path = Path(name, "f")
        path.write_bytes(content.encode())
        if command is None:
            with contextlib.chdir(name):
                rc, out, err = config("--dialect=crudini", *words, stdin=stdin or "")
        else:
            done = subprocess.run(
                [*command, *words], cwd=name, input=(stdin or "").encode(),
                capture_output=True, check=False, timeout=600,
            )  # fmt: skip
            rc, out, err = done.returncode, done.stdout.decode(), done.stderr.decode()
        return Outcome(rc, out, err, path.read_bytes().decode(), tuple(sorted(os.listdir(name))))


def both(content: str, stdin: "str | None", *lines: list[str]) -> list[tuple[Outcome, Outcome]]:
    """What crudini (as processes, two at a time) and we make of each command line."""
    assert CRUDINI, "crudini is not installed: pip install crudini==0.9.6"
    with ThreadPoolExecutor(2) as pool:
        theirs = [pool.submit(outcome, [CRUDINI], content, stdin, *words) for words in lines]
        ours = [outcome(None, content, stdin, *words) for words in lines]
        return [(future.result(), own) for future, own in zip(theirs, ours, strict=True)]


def comparable(found: Outcome) -> tuple[object, ...]:
    """What has to be equal; of stderr only the first of the lines that scripts may know."""
    known = ("Parameter not found", "Section not found", "changed:", "unchanged:", "param names",
             "section names", "Invalid sh", "stdin is closed", "Conflicting", "--format", "--ini-options",
             "--existing", "One of", "Unknown operation", "option --", "A value", "Can't operate",
             "--merge mode", "[Errno 2")  # fmt: skip
    # From Python 3.14 on, getopt adds what an option cut short could be.
    reported = [
        line.partition("; possible options: ")[0] for line in found.err.splitlines() if line.startswith(known)
    ]
    return found.rc, found.out, found.file, found.files, reported[:1]


@pytest.mark.parametrize("case", CASES)
def test_behaves_as_crudini(case: str) -> None:
    content, stdin, lines = CASES[case]
    for arguments, (theirs, ours) in zip(lines, both(content, stdin, *lines), strict=True):
        assert comparable(ours) == comparable(theirs), arguments


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda d: d[3])
def test_is_different_on_purpose(difference: tuple[object, ...]) -> None:
    reason, content, stdin, line, expected_theirs, expected_ours = difference
    [(theirs, ours)] = both(content, stdin, str(line).split())  # type: ignore[arg-type]

    for expected, found in ((expected_theirs, theirs), (expected_ours, ours)):
        for field, value in expected.items():  # type: ignore[attr-defined]
            assert getattr(found, field) == value, f"{reason}: {field}"
    assert comparable(theirs) != comparable(ours) or theirs.err != ours.err


NAMES = st.sampled_from(["a", "b", "A", "a b", "long.name"])
SECTIONS = st.sampled_from(["s", "t", "DEFAULT", "S"])
WORDS = st.sampled_from(["1", "x y", "a,b", "a, b", '"q"', "v ; c", "v;c", "# h", "", "http://h:1/", "é"])
LINES = st.one_of(
    st.builds("{}{}{}".format, NAMES, st.sampled_from([" = ", "=", ": ", " =  "]), WORDS),
    st.builds("{} = {}\n  more".format, NAMES, WORDS.filter(lambda w: ";" not in w)),
    st.builds("[{}]".format, SECTIONS),
    st.sampled_from(["# c", "; c", "", "", "flag"]),
)
TEXTS = st.lists(LINES, max_size=8).map(lambda found: "\n".join(["[s]", *found]) + "\n")
EDITS = st.one_of(
    st.tuples(st.just("--set"), st.just("f"), SECTIONS, NAMES, WORDS.filter(bool)),
    st.tuples(st.just("--del"), st.just("f"), SECTIONS, NAMES),
    st.tuples(st.just("--get"), st.just("f"), SECTIONS, NAMES),
    st.tuples(st.just("--get"), st.just("--format=lines"), st.just("f")),
    st.tuples(st.just("--get"), st.just("f"), SECTIONS),
    st.tuples(st.just("--set"), st.just("--list"), st.just("f"), SECTIONS, NAMES, st.just("x")),
    st.tuples(st.just("--del"), st.just("--list"), st.just("f"), SECTIONS, NAMES, st.just("a")),
    st.tuples(st.just("--set"), st.just("--existing"), st.just("f"), SECTIONS, NAMES, WORDS.filter(bool)),
    st.tuples(st.just("--set"), st.just("--verbose"), st.just("f"), SECTIONS, NAMES, WORDS.filter(bool)),
    st.tuples(st.just("--set"), st.just("--ini-options=space"), st.just("f"), SECTIONS, NAMES, st.just("1")),
    st.tuples(st.just("--set"), st.just("--ini-options=sectionspace"), st.just("f"), SECTIONS),
)
SUPPRESSED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


def compare_generated(text: str, edit: tuple[str, ...]) -> None:
    [(theirs, ours)] = both(text, None, list(edit))
    if "Traceback" in theirs.err:
        return
    if edit[0] == "--del":
        # See DIFFERENCES: blanks at the end of a list's line. And what is left of a file without
        # its last option is a blank line for us and nothing for crudini.
        theirs, ours = (
            found._replace(file=re.sub(r" +\n", "\n", found.file).strip("\n")) for found in (theirs, ours)
        )
    if "--ini-options=space" in edit:
        theirs, ours = (
            found._replace(file=re.sub(r" *([=:]) *", r"\1", found.file)) for found in (theirs, ours)
        )
    assert comparable(ours) == comparable(theirs)


@settings(max_examples=15, deadline=None, suppress_health_check=SUPPRESSED)
@given(TEXTS, EDITS)
def test_generated_edits_agree(text: str, edit: tuple[str, ...]) -> None:
    compare_generated(text, edit)


@pytest.mark.slow
@settings(max_examples=1500, deadline=None, suppress_health_check=SUPPRESSED)
@given(TEXTS, EDITS)
def test_generated_edits_agree_at_length(text: str, edit: tuple[str, ...]) -> None:
    compare_generated(text, edit)
