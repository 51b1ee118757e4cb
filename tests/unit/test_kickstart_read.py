# SPDX-License-Identifier: MIT
"""Kickstarts are read with the file and line of everything, includes followed, all errors at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.errors import InputError
from builder.kickstart.findings import Findings
from builder.kickstart.plan import ScriptSection
from builder.kickstart.planner import load_plan
from builder.kickstart.settings.services import Services
from builder.targets import find_target
from tests.support.kickstart_text import DISK, GOOD, REST, plan_text, reported


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


ERRORS = {
    "unbalanced quote": (GOOD + "lang 'abc\n", "test.ks:9: no closing quotation"),
    "unknown command": (GOOD + "partt / --size=1\n", "test.ks:9: unknown command: partt"),
    "unknown option": (GOOD + "services --enabledd=a\n", "test.ks:9: services has no option --enabledd"),
    "missing value": (GOOD + "bootloader --timeout\n", "test.ks:9: bootloader --timeout needs a value"),
    "unknown section": (GOOD + "%nothing\n%end\n", "test.ks:9: unknown section: %nothing"),
    "section without end": (GOOD + "%post\necho\n", "test.ks:9: %post is not closed by %end"),
    "section inside a section": (GOOD + "%post\n%pre\n%end\n", "test.ks:9: %post is not closed by %end"),
    "end without section": (GOOD + "%end\n", "test.ks:9: %end without a section"),
    "ksappend": (GOOD + "%ksappend http://x/y\n", "test.ks:9: %ksappend http://x/y: nothing is fetched"),
    "missing include": (GOOD + "%include none.ks\n", "test.ks:9: %include none.ks: no such file"),
    "include of a folder": (GOOD + "%include /\n", "test.ks:9: %include /: not a file"),
    "include of a device": (GOOD + "%include /dev/zero\n", "test.ks:9: %include /dev/zero: not a file"),
    "include of a url": (GOOD + "%include https://x/y\n", "test.ks:9: %include https://x/y: nothing is"),
    "include of itself": (
        GOOD + "%include test.ks\n",
        "test.ks:9: %include test.ks: the file includes itself",
    ),
    "include of nothing": (GOOD + "%include\n", "test.ks:9: %include takes one file name"),
    "include with a quote": (GOOD + "%include 'a\n", "test.ks:9: %include: no closing quotation"),
    "option of a section": (GOOD + "%post --nothing\n%end\n", "test.ks:9: %post has no option --nothing"),
    "nul byte": (GOOD + "lang a\0b\n", "test.ks:9: a NUL byte"),
    "escaped line end": (GOOD + "lang \\", "test.ks:9: no escaped character"),
}


@pytest.mark.parametrize(("text", "expected"), ERRORS.values(), ids=ERRORS)
def test_mistake_is_one_error_with_file_and_line(tmp_path: Path, text: str, expected: str) -> None:
    _, findings = plan_text(tmp_path, text)

    errors = [line for line in reported(findings, tmp_path) if line.startswith("error: ")]
    assert len(errors) == 1
    assert errors[0].startswith(f"error: {expected}")


def test_all_mistakes_of_all_files_are_reported_at_once_in_their_order(tmp_path: Path) -> None:
    write(tmp_path, {"part.ks": "partt /\n%packages\nfoo bar\n%end\n"})

    _, findings = plan_text(tmp_path, "lang 'a\n%include part.ks\nnetwork --bootproto=ibft\n" + GOOD)

    assert [line.split(": ")[1] for line in reported(findings, tmp_path)] == [
        "test.ks:1",
        "test.ks:3",
        "part.ks:1 (included from test.ks:2)",
        "part.ks:3 (included from test.ks:2)",
    ]


def test_chain_of_includes_is_reported(tmp_path: Path) -> None:
    write(tmp_path, {"a/b.ks": "\n%include c/d.ks\n", "a/c/d.ks": "\n\nnonsense\n"})

    _, findings = plan_text(tmp_path, GOOD + "%include a/b.ks\n")

    assert reported(findings, tmp_path) == [
        "error: a/c/d.ks:3 (included from a/b.ks:2) (included from test.ks:9): unknown command: nonsense"
    ]


def test_not_utf8_is_reported_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.ks"
    path.write_bytes(b"text\n# caf\xe9\n")

    with pytest.raises(InputError, match=r"latin.ks:2: not UTF-8 text"):
        load_plan(path, target=find_target("fedora-45"))


@pytest.mark.parametrize("name", ["nowhere.ks", "."], ids=["missing", "folder"])
def test_unreadable_kickstart_is_bad_input(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as error:
        load_plan(tmp_path / name, target=find_target("fedora-45"))

    assert error.value.exit_code == 2
    assert any(str(tmp_path / name) in line for line in error.value.lines())


def test_includes_do_not_depend_on_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoy = tmp_path / "decoy"
    write(
        tmp_path,
        {"tree/part.ks": "services --enabled=right\n", "decoy/part.ks": "services --enabled=wrong\n"},
    )
    leaf = tmp_path / "tree" / "leaf.ks"
    leaf.write_text(GOOD + "%include part.ks\n")

    plans = []
    for folder in (decoy, tmp_path, tmp_path / "tree", Path("/")):
        monkeypatch.chdir(folder)
        plans.append(load_plan(leaf, target=find_target("fedora-45")))
    monkeypatch.chdir(decoy)
    relative = load_plan(Path("../tree/leaf.ks"), target=find_target("fedora-45"))

    assert {plan.of(Services).services_enabled for plan in [*plans, relative]} == {("right",)}
    assert plans[0] == plans[1] == plans[2] == plans[3]
    assert relative.kickstarts == ("../tree/leaf.ks", "../tree/part.ks")


def test_include_works_inside_sections(tmp_path: Path) -> None:
    write(tmp_path, {"list": "httpd\n# no\n-vim*\n", "body": "echo included\n"})

    plan, findings = plan_text(
        tmp_path, DISK + "%packages\n%include list\nbash\n%end\n%post\n%include body\necho after\n%end\n"
    )

    assert not findings.errors
    assert plan.packages.names == ("httpd", "bash")
    assert plan.packages.excluded == ("vim*",)
    assert str(plan.packages.places["httpd"]).endswith(f"list:1 (included from {tmp_path}/test.ks:5)")
    assert plan.scripts[0].body == "echo included\necho after\n"


@pytest.mark.parametrize("text", ["%end\n", "%post\n"])
def test_included_file_cannot_end_the_section_around_it(tmp_path: Path, text: str) -> None:
    write(tmp_path, {"body": text})

    _, findings = plan_text(tmp_path, GOOD + "%post\n%include body\n%end\n")

    word = text.strip()
    assert reported(findings, tmp_path) == [
        f"error: body:1 (included from test.ks:10): {word} in a file that is included inside %post"
    ]


def test_percent_words_that_are_no_section_belong_to_the_script(tmp_path: Path) -> None:
    body = "cat >x.spec <<E\n%description\n%files\nE\n"

    plan, findings = plan_text(tmp_path, GOOD + f"%post\n{body}%end\n")

    assert not findings.errors
    assert plan.scripts[0].body == body


def test_scripts_keep_their_order_options_and_bytes(tmp_path: Path) -> None:
    text = (
        "%post --nochroot --log=/root/a.log\n  one # not a comment\n\n%end\n"
        "%pre --interpreter=/usr/bin/python3 --erroronfail\nprint()\n%end\n"
        "%post --erroronfail\ntwo\x0cthree\n%end\n"
        "%post\n   \n%end\n"
    )

    plan, findings = plan_text(tmp_path, GOOD + text)

    assert not findings.errors
    first, pre, last = plan.scripts
    assert (first.chroot, first.log, first.error_on_fail) == (False, "/root/a.log", False)
    assert first.body == "  one # not a comment\n\n"
    assert (pre.section, pre.interpreter, pre.chroot) == (ScriptSection.PRE, "/usr/bin/python3", False)
    assert (last.body, last.error_on_fail, last.chroot) == ("two\x0cthree\n", True, True)
    assert (first.place.line, pre.place.line, last.place.line) == (9, 13, 16)


def test_line_ends_of_windows_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "dos.ks"
    path.write_bytes((GOOD + "%post\necho\n%end\n").replace("\n", "\r\n").encode())

    plan = load_plan(path, target=find_target("fedora-45"))

    assert plan.scripts[0].body == "echo\n"


def test_old_syntax_needs_no_end(tmp_path: Path) -> None:
    text = DISK + "rootpw x\n%packages\nbash\n%post\necho\n"

    plan, findings = plan_text(tmp_path, text, ksversion="FC6")

    assert not findings.errors
    assert plan.packages.names == ("bash",)
    assert plan.scripts[0].body == "echo\n"


PRE = "%pre\necho part / --size=900 >/tmp/parts\n%end\n"


class TestFilesOfPre:
    """A %pre script may write what the kickstart includes."""

    def test_include_is_unresolved_until_the_script_has_run(self, tmp_path: Path) -> None:
        plan, findings = plan_text(tmp_path, f"%include /tmp/parts\n{REST}{PRE}")

        assert not findings.errors
        assert [(name, place.line) for name, place in plan.unresolved_includes] == [("/tmp/parts", 1)]
        assert [script.section for script in plan.scripts] == [ScriptSection.PRE]

    def test_what_the_script_wrote_is_read(self, tmp_path: Path) -> None:
        wrote = {"/tmp/parts": "part / --fstype=ext4 --size=900\nnonsense\n"}

        plan, findings = plan_text(tmp_path, f"%include /tmp/parts\n{REST}{PRE}", pre_files=wrote)

        assert plan.unresolved_includes == ()
        assert [part.size for part in plan.disk.partitions] == [900]
        assert reported(findings, tmp_path) == [
            "error: /tmp/parts:2 (included from test.ks:1): unknown command: nonsense"
        ]

    def test_script_that_did_not_write_the_file_is_an_error(self, tmp_path: Path) -> None:
        _, findings = plan_text(tmp_path, f"%include /tmp/parts-none\n{GOOD}{PRE}", pre_files={})

        assert (findings.errors[0].hint or "").startswith("no %pre script wrote it")

    def test_file_of_this_host_is_not_taken_for_the_one_that_pre_writes(self, tmp_path: Path) -> None:
        stale = tmp_path / "parts"
        stale.write_text("nonsense\n")

        plan, findings = plan_text(tmp_path, f"%include {stale}\n{REST}%pre\necho >{stale}\n%end\n")

        assert not findings.errors
        assert [name for name, _ in plan.unresolved_includes] == [str(stale)]

    def test_file_of_this_host_is_not_read_once_the_script_has_run(self, tmp_path: Path) -> None:
        stale = tmp_path / "parts"
        stale.write_text("nonsense\n")
        text = f"%include {stale}\n{GOOD}%pre\necho >{stale}\n%end\n"

        _, findings = plan_text(tmp_path, text, pre_files={})

        assert [problem.message for problem in findings.errors] == [f"%include {stale}: no such file"]

    def test_what_the_script_wrote_includes_nothing_of_this_host(self, tmp_path: Path) -> None:
        (tmp_path / "more").write_text("nonsense\n")
        wrote = {f"{tmp_path}/parts": "%include more\n"}
        text = f"%include {tmp_path}/parts\n{GOOD}%pre\necho\n%end\n"

        _, findings = plan_text(tmp_path, text, pre_files=wrote)

        assert [problem.message for problem in findings.errors] == ["%include more: no such file"]

    def test_without_a_pre_script_a_missing_file_is_an_error(self, tmp_path: Path) -> None:
        _, findings = plan_text(tmp_path, f"%include {tmp_path}/none\n{GOOD}")

        assert findings.errors[0].message.endswith("no such file or directory")

    def test_relative_include_is_never_left_to_pre(self, tmp_path: Path) -> None:
        _, findings = plan_text(tmp_path, f"%include none.ks\n{GOOD}{PRE}")

        assert len(findings.errors) == 1


def test_findings_are_not_repeated() -> None:
    findings = Findings()
    for _ in range(2):
        findings.error(None, "one")
        findings.note(None, "two")

    assert (len(findings.errors), len(findings.notes)) == (1, 1)


def test_reading_leaves_the_search_path_of_python_alone(tmp_path: Path) -> None:
    import sys

    before = list(sys.path)

    plan_text(tmp_path, GOOD)

    assert sys.path == before
    assert os.getcwd() not in sys.path or os.getcwd() in before
