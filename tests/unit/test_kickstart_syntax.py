# SPDX-License-Identifier: MIT
"""Which syntax a kickstart is read with, and how its age is forgiven."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import InputError
from builder.kickstart.choices import Choices
from builder.kickstart.commands import COMMANDS
from builder.kickstart.policy import Treatment
from builder.kickstart.settings.accounts import Accounts
from builder.kickstart.settings.locale import Locale
from builder.kickstart.settings.services import Services
from builder.kickstart.syntax import load_syntax, options_of
from builder.kickstart.versions import choose_version, find_version, known_versions
from tests.support.kickstart_text import DISK, GOOD, plan_text, reported

CHOICES = {
    "asked goes first": ("F40", "RHEL9", "F45", "F40"),
    "asked in small letters": ("rhel8", None, None, "RHEL8"),
    "asked at length": ("Fedora 17", None, None, "F17"),
    "then what is written": (None, "RHEL9", "F45", "RHEL9"),
    "then the target's": (None, None, "F17", "F17"),
    "DEVEL says nothing": (None, "DEVEL", "F44", "F44"),
    "nothing at all": (None, None, None, "F46"),
}


@pytest.mark.parametrize(("asked", "written", "target", "expected"), CHOICES.values(), ids=CHOICES)
def test_syntax_is_chosen(asked: str | None, written: str | None, target: str | None, expected: str) -> None:
    assert choose_version(asked, written, target) == (expected, None)


def test_unknown_syntax_that_is_asked_for_is_bad_input() -> None:
    with pytest.raises(InputError, match="unknown kickstart syntax: F99") as error:
        choose_version("F99", None, None)

    assert "F45" in (error.value.hint or "")


def test_unknown_syntax_that_is_written_is_a_warning(tmp_path: Path) -> None:
    plan, findings = plan_text(tmp_path, f"#version=F99\n{GOOD}", ksversion=None)

    assert plan.ksversion == "F45"
    assert reported(findings, tmp_path) == ["warning: test.ks:1: #version: unknown syntax F99; F45 is used"]


def test_a_target_newer_than_pykickstart_is_an_error_only_where_its_syntax_is_needed() -> None:
    assert choose_version(None, "F17", "F99") == ("F17", None)
    for written in (None, "DEVEL", "F98"):
        with pytest.raises(InputError, match="does not know the syntax F99") as caught:
            choose_version(None, written, "F99")
        assert "--ksversion" in (caught.value.hint or "")


def test_version_of_an_included_file_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "part.ks").write_text("#version=F17\n")

    plan, _ = plan_text(tmp_path, f"%include part.ks\n{GOOD}", ksversion=None)

    assert plan.ksversion == "F45"


def test_every_version_can_be_found_by_its_name() -> None:
    assert [find_version(name) for name in known_versions()] == list(known_versions())


# line, syntax -> the warning. Every line here is one that pykickstart refuses in that syntax.
TOLERATED = {
    "install on F45": ("install", "F45", "install is not in the syntax F45; it has no effect"),
    "install on RHEL9": ("install", "RHEL9", "install is not in the syntax RHEL9; it has no effect"),
    "auth on F45": (
        "auth --enableshadow --passalgo=sha512",
        "F45",
        "auth is not in the syntax F45; it is still",
    ),
    "authconfig on RHEL10": ("authconfig --useshadow", "RHEL10", "authconfig is not in the syntax RHEL10"),
    "isUtc on RHEL10": ("timezone --isUtc Etc/UTC", "RHEL10", "timezone --isUtc is not in the syntax RHEL10"),
    "utc on FC3": ("timezone --isUtc Etc/UTC", "FC3", "timezone --isUtc is not in the syntax FC3"),
    "nontp on RHEL10": ("timezone Etc/UTC --nontp", "RHEL10", "timezone --nontp is not in the syntax RHEL10"),
    "nontp on F17": ("timezone Etc/UTC --nontp", "F17", "timezone --nontp is not in the syntax F17"),
    "ntpservers on RHEL10": (
        "timezone Etc/UTC --ntpservers=a.example,b.example",
        "RHEL10",
        "timezone --ntpservers is not in the syntax RHEL10; it is still honoured",
    ),
    "zerombr yes": ("zerombr yes", "F45", 'zerombr takes no argument: "yes" is ignored'),
    "instLangs on RHEL10": ("%packages --instLangs=en\n%end", "RHEL10", "%packages --instLangs is not in"),
    "inst-langs on RHEL8": ("%packages --inst-langs en\n%end", "RHEL8", "%packages --inst-langs is not in"),
    "excludeWeakdeps": ("%packages --excludeWeakdeps\n%end", "RHEL10", "%packages --excludeWeakdeps is not"),
    "nobase on F45": ("%packages --nobase\n%end", "F45", "%packages --nobase is not in the syntax F45"),
    "lba32 on F45": (
        "bootloader --lba32",
        "F45",
        "bootloader --lba32 is not in the syntax F45; it has no eff",
    ),
    "part --active": ("part /a --fstype=ext4 --size=1 --active", "F45", "part --active is not in the syntax"),
    "mouse on F45": ("mouse", "F45", "mouse is not in the syntax F45; it has no effect"),
}


@pytest.mark.parametrize(("line", "version", "expected"), TOLERATED.values(), ids=TOLERATED)
def test_word_that_a_syntax_lacks_is_a_warning(
    tmp_path: Path, line: str, version: str, expected: str
) -> None:
    _, findings = plan_text(tmp_path, f"{DISK}rootpw x\n{line}\n%packages\n%end\n", ksversion=version)

    assert not findings.errors, reported(findings, tmp_path)
    assert any(problem.message.startswith(expected) for problem in findings.warnings)


def _values_that_a_syntax_lacks() -> list[tuple[str, str, str]]:
    """Return (syntax, command, option) of the harmless options with a value that another syntax has."""
    found = []
    for version in ("F45", "RHEL10", "RHEL6"):
        for command, row in COMMANDS.items():
            if row.verdict is Treatment.HONOURED and load_syntax(version).has(command):
                lacking = set(row.options) - set(options_of(version, command))
                found += [
                    (version, command, option)
                    for option in sorted(lacking)
                    if row.options[option].verdict is Treatment.HARMLESS
                    and any(
                        load_syntax(other).has(command)
                        and load_syntax(other)._options_of(command).options.get(option)
                        for other in known_versions()
                    )
                ]
    return found


@pytest.mark.parametrize(("version", "command", "option"), _values_that_a_syntax_lacks())
def test_the_value_of_an_option_without_effect_goes_with_it(
    tmp_path: Path, version: str, command: str, option: str
) -> None:
    for value in (f"{option}=7-9", f"{option} 7-9"):
        text = f"{DISK}rootpw x\n{command} {value}\n%packages\n%end\n"
        _, findings = plan_text(tmp_path, text, ksversion=version)

        assert not any("unexpected" in problem.message for problem in findings.errors), reported(
            findings, tmp_path
        )
        assert any(f"{command} {option} is not in" in problem.message for problem in findings.warnings)


def test_tolerated_words_keep_their_meaning(tmp_path: Path) -> None:
    text = (
        DISK + "timezone --isUtc Europe/Vienna --nontp --ntpservers a.example,b.example\n"
        "%packages --instLangs en:de --excludeWeakdeps\n%end\n"
    )

    plan, _ = plan_text(tmp_path, text, ksversion="RHEL10")

    assert (plan.of(Locale).timezone.name, plan.of(Locale).timezone.utc, plan.of(Locale).timezone.ntp) == (
        "Europe/Vienna",
        True,
        False,
    )
    assert plan.of(Locale).timezone.servers == ("a.example", "b.example")
    assert (plan.packages.languages, plan.packages.weak) == (("en", "de"), False)


NOT_YET = {
    "command": ("reqpart", "F17", "reqpart is not in the syntax F17", "F23 to F46, RHEL7 to RHEL11"),
    "option": ("bootloader --disabled", "RHEL6", "bootloader --disabled is not in the syntax", "F21 to F46"),
    "section's option": (
        "%packages --nocore\n%end",
        "F17",
        "%packages --nocore is not in the syntax",
        "F21 to",
    ),
}


@pytest.mark.parametrize(("line", "version", "message", "span"), NOT_YET.values(), ids=NOT_YET)
def test_word_that_a_syntax_does_not_have_yet_says_which_has_it(
    tmp_path: Path, line: str, version: str, message: str, span: str
) -> None:
    _, findings = plan_text(tmp_path, f"{DISK}rootpw x\n{line}\n%packages\n%end\n", ksversion=version)

    assert len(findings.errors) == 1
    assert findings.errors[0].message.startswith(message)
    assert span in (findings.errors[0].hint or "")


def test_deprecated_word_is_a_warning_with_its_line(tmp_path: Path) -> None:
    _, findings = plan_text(tmp_path, f"{GOOD}timezone --isUtc Etc/UTC\n", ksversion="F40")

    warning = "warning: test.ks:9: timezone --isUtc: deprecated in the syntax F40"
    assert reported(findings, tmp_path) == [warning]


REPEATED = {
    "bootloader": (
        "bootloader --append=quiet --timeout=1\nbootloader --append=splash\n",
        "test.ks:10: a second bootloader line: its --append replaces the value of test.ks:9",
    ),
    "lang": (
        "lang en_US\nlang de_DE\n",
        "test.ks:10: a second lang line: where both set a thing, it wins over test.ks:9",
    ),
    "the same again": ("lang en_US\nlang en_US\n", None),
    "one that adds up": ("network --hostname=a\nnetwork --device=eth0\n", None),
}


@pytest.mark.parametrize(("lines", "expected"), REPEATED.values(), ids=REPEATED)
def test_command_that_is_there_twice(tmp_path: Path, lines: str, expected: str | None) -> None:
    _, findings = plan_text(tmp_path, GOOD + lines)

    warnings = [line.removeprefix("warning: ") for line in reported(findings, tmp_path)]
    assert warnings == ([expected] if expected else [])


def test_second_bootloader_replaces_what_both_say(tmp_path: Path) -> None:
    """As pykickstart 3.78 has it, and so Anaconda."""
    plan, _ = plan_text(tmp_path, f"{GOOD}bootloader --append=a --timeout=7\nbootloader --append=b\n")

    assert (plan.bootloader.append, plan.bootloader.timeout) == ("b", 7)


def test_abbreviated_options_are_held_to_the_table(tmp_path: Path) -> None:
    _, findings = plan_text(tmp_path, f"{GOOD}network --device=eth0 --essi=x\n")

    assert findings.errors[0].message.startswith("network --essid: ")


def test_a_reading_does_not_remember_the_one_before(tmp_path: Path) -> None:
    plan_text(tmp_path, f"{GOOD}services --enabled=a\ntimezone Etc/UTC --nontp\n")

    plan, findings = plan_text(tmp_path, GOOD.replace("part ", "partition ") + "services --disabled=b\n")

    assert not findings.errors
    assert (plan.of(Services).services_enabled, plan.of(Services).services_disabled) == ((), ("b",))


def test_choice_of_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    plan, _ = plan_text(tmp_path, f"#version=RHEL9\n{GOOD}", choices=Choices(ksversion="F44"))

    assert plan.ksversion == "F44"


@pytest.mark.parametrize(("ksversion", "warned"), [("F17", 1), ("RHEL6", 1), ("F18", 0), ("RHEL9", 0)])
def test_root_is_locked_without_a_password_where_the_syntax_wants_one(
    tmp_path: Path, ksversion: str, warned: int
) -> None:
    plan, findings = plan_text(tmp_path, f"{DISK}rootpw --lock\n%packages\n%end\n", ksversion=ksversion)

    assert findings.errors == []
    assert plan.of(Accounts).root_password.locked
    said = [one for one in findings.warnings if one.message.startswith("rootpw --lock: the syntax")]
    assert len(said) == warned
