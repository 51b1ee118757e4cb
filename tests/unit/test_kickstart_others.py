# SPDX-License-Identifier: MIT
"""Kickstarts written for other tools and other releases: what is still plain is accepted, with a word."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from builder.kickstart.choices import Choices
from builder.kickstart.plan import Repository
from builder.kickstart.settings.locale import Locale
from builder.kickstart.settings.services import Services
from tests.support.kickstart_text import DISK, GOOD, plan_text, reported

# A line without an effect in an image, and a syntax that takes less of it than its author thought.
WITHOUT_EFFECT = {
    "logging": ("logging --level=info", "F46"),
    "langsupport": ("langsupport --default=en_US.UTF-8 en_US.UTF-8", "RHEL5"),
    "mouse": ("mouse --device=psaux generic3usb", "RHEL5"),
    "monitor": ("monitor --monitor=generic --hsync=1-2 --nothing", "F16"),
    "vnc": ("vnc --enabled --password", "F45"),
    "reboot": ("reboot --now", "F45"),
    "updates": ("updates --url", "F45"),
}


@pytest.mark.parametrize(("line", "version"), WITHOUT_EFFECT.values(), ids=WITHOUT_EFFECT)
def test_options_of_a_command_without_effect_stop_nobody(tmp_path: Path, line: str, version: str) -> None:
    text = GOOD.replace("--lock", "secret")

    _, findings = plan_text(tmp_path, f"{text}{line}\n", ksversion=version)

    assert not findings.errors, reported(findings, tmp_path)
    said = [problem.message for problem in (*findings.warnings, *findings.notes)]
    assert any(line.split()[0] in message and "no effect" in message for message in said)


@pytest.mark.parametrize(
    ("line", "version", "expected", "effect"),
    [
        pytest.param(
            "vnc --password=secret1", "RHEL9", "vnc has one effect: the guest starts", True, id="vnc"
        ),
        pytest.param("vnc --nosuch", "RHEL9", "vnc has one effect anyway: the guest starts", True, id="odd"),
        pytest.param("vnc", "F44", "vnc has no effect: the installer passes it over", False, id="deprecated"),
        pytest.param("vnc", "F45", "it has no effect: the installer passes it over", False, id="removed"),
        pytest.param("rdp --username=u --password=secret1", "F45", "rdp has one effect: ", True, id="rdp"),
        pytest.param("rdp --username=u", "RHEL9", "it has no effect: ", False, id="not there yet"),
    ],
)
def test_an_installer_that_is_looked_at_from_elsewhere_has_no_screen_and_so_has_the_guest(
    tmp_path: Path, line: str, version: str, expected: str, effect: bool
) -> None:
    text = GOOD.replace("--lock", "secret")

    plan, findings = plan_text(tmp_path, f"{text}{line}\n", ksversion=version)

    assert not findings.errors, reported(findings, tmp_path)
    said = [problem.message for problem in (*findings.warnings, *findings.notes)]
    assert any(expected in message for message in said), said
    assert "secret1" not in str(said)
    assert plan.of(Services).without_screen is effect


REPLACED = {
    "extlinux": ("bootloader --extlinux", "bootloader --extlinux: the boot loader is GRUB, which is used"),
    "extlinux as a word": (
        "bootloader extlinux",
        "bootloader extlinux: the boot loader is GRUB, which is used",
    ),
    "systemd-boot": ("bootloader --sdboot", "bootloader --sdboot: the boot loader is GRUB, which is used"),
    "a name bound to an address": (
        "network --device=eth0 --bindto=mac",
        "network --bindto: the address of a guest is not known yet; the device's name is used",
    ),
}


@pytest.mark.parametrize(("line", "expected"), REPLACED.values(), ids=REPLACED)
def test_what_is_done_otherwise_is_warned_about(tmp_path: Path, line: str, expected: str) -> None:
    _, findings = plan_text(tmp_path, f"{GOOD}{line}\n")

    assert reported(findings, tmp_path) == [f"warning: test.ks:9: {expected}"]


MODELS = {
    "ostreesetup": ("ostreesetup --osname=x --url=http://x/ --ref=y", "image-builder"),
    "ostreecontainer": ("ostreecontainer --url=quay.example/x", "bootc-image-builder"),
    "bootc": ("bootc --source-imgref=registry:quay.example/x", "bootc-image-builder"),
    "liveimg": ("liveimg --url=http://x/image", "virt-customize"),
}


@pytest.mark.parametrize(("line", "tool"), MODELS.values(), ids=MODELS)
def test_another_model_of_an_image_is_refused_at_once_with_its_tool(
    tmp_path: Path, line: str, tool: str
) -> None:
    """Nothing else is reported: the kickstart is for another tool."""
    _, findings = plan_text(tmp_path, f"lang ../x\n{line}\nnetwork --device=!\n")

    assert [problem.where for problem in findings.errors] == [f"{tmp_path}/test.ks:2"]
    assert tool in str(findings.errors[0].hint)


def test_ksappend_is_read_as_an_include(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/disk.ks").write_text(DISK)

    plan, findings = plan_text(tmp_path, "%ksappend parts/disk.ks\nrootpw --lock\n%packages\n%end\n")

    assert reported(findings, tmp_path) == []
    assert [part.mountpoint for part in plan.disk.partitions] == [None, "/boot/efi", "/"]


def test_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    plan, findings = plan_text(tmp_path, f"\ufefflang de_DE.UTF-8\n{GOOD}")

    assert reported(findings, tmp_path) == []
    assert plan.of(Locale).lang == "de_DE.UTF-8"


TEMPLATES = {
    "a line": "${network}",
    "a list of options": "repo --name=a ${repos} ${proxy}",
    "a URL": "url --url=${tree}",
    "a time zone": "timezone ${zone}",
    "a keymap": "keyboard ${keymap}",
    "ERB": "<%= render 'network' %>",
    "ERB among packages": "%packages\n<% if fips %>\n%end",
    "Jinja": "{% if fips %}",
}


@pytest.mark.parametrize("line", TEMPLATES.values(), ids=TEMPLATES)
def test_template_that_is_not_filled_in_is_called_one(tmp_path: Path, line: str) -> None:
    _, findings = plan_text(tmp_path, f"{GOOD}{line}\n")

    assert findings.errors[0].where in (f"{tmp_path}/test.ks:9", f"{tmp_path}/test.ks:10")
    assert findings.errors[0].hint == "the file is a template: fill it in first"


ARCHITECTURES = {
    "url": "url --url=https://m.example/9/BaseOS/aarch64/os/",
    "repo": "repo --name=a --baseurl=https://m.example/9/AppStream/ppc64le/os",
    "list of mirrors": "repo --name=a --mirrorlist='https://m.example/list?arch=i386&repo=x'",
}


@pytest.mark.parametrize("line", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_repository_of_another_architecture_is_refused(tmp_path: Path, line: str) -> None:
    _, findings = plan_text(tmp_path, f"{GOOD}{line}\n")

    assert findings.errors[0].where == f"{tmp_path}/test.ks:9"
    assert findings.errors[0].message.endswith("and images are of x86_64")


ARGUMENTS = {
    "too long": ("x=" + "a" * 2000, "2002 bytes"),
    "line break": ("a\x07b", "control character"),
    "quote that stays open": ('\\"dyndbg=file x +p', "a quote is not closed"),
}


@pytest.mark.parametrize(("append", "expected"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments_that_no_kernel_takes_are_refused(tmp_path: Path, append: str, expected: str) -> None:
    _, findings = plan_text(tmp_path, f'{GOOD}bootloader --append="{append}"\n')

    assert [expected in problem.message for problem in findings.errors] == [True]


SPOILED = {
    "quote": ("a=it's", "fedora-45", "a=it's"),
    "backslash": (r"b a=x\\y", "fedora-45", r"a=x\y"),
    "hexadecimal form, where GRUB knows none": (r"a=\x2d", "fixture-12", r"a=\x2d"),
}


@pytest.mark.parametrize(("append", "target", "word"), SPOILED.values(), ids=SPOILED)
def test_argument_that_grub_changes_itself_is_refused(
    tmp_path: Path, append: str, target: str, word: str
) -> None:
    _, findings = plan_text(tmp_path, f'{GOOD}bootloader --append="{append}"\n', target=target)

    assert [one.message.split(": ")[1] for one in findings.errors] == [word]


@pytest.mark.parametrize("line", [r"--append=a=\\x2d.swap", "--location=none --append=a=it\\'s"])
def test_argument_that_reaches_the_kernel_as_written_is_taken(tmp_path: Path, line: str) -> None:
    """Fedora's and EL's GRUB leave \\xHH as it is; where there is no GRUB, none changes anything."""
    plan, findings = plan_text(tmp_path, f"{GOOD}bootloader {line}\n")

    assert not findings.errors
    assert plan.bootloader.append in (r"a=\x2d.swap", "a=it's")


ROOTS = {
    "another device": ("root=/dev/sda1", True),
    "another label": ("root=LABEL=other", True),
    "the label of the root": ("root=LABEL=system", False),
    "none": ("quiet", False),
}


@pytest.mark.parametrize(("append", "warned"), ROOTS.values(), ids=ROOTS)
def test_root_of_the_authors_own_is_compared_with_the_disk(tmp_path: Path, append: str, warned: bool) -> None:
    text = GOOD.replace("part / ", "part / --label=system ")

    _, findings = plan_text(tmp_path, f"{text}bootloader --append={append}\n")

    assert not findings.errors
    assert ["is not known to be the root" in one.message for one in findings.warnings] == [True] * warned


def test_file_without_any_end_is_read_as_before(tmp_path: Path) -> None:
    text = f"{DISK}rootpw secret\n%packages\n@core\n%post\necho one\n%post\necho two\n"

    plan, findings = plan_text(tmp_path, text)

    assert reported(findings, tmp_path) == [
        "warning: test.ks:5: no section ends in %end: read as before Fedora 9 and EL 6"
    ]
    assert [script.body for script in plan.scripts] == ["echo one\n", "echo two\n"]


REPLACED_LINES = "url --url=${KS_OS} ${KS_PROXY}\nrepo --name=a ${KS_REPOS}\nrepo --nme=b\ncdrom\n"


def test_what_is_wrong_with_a_line_that_the_command_line_replaces_harms_nobody(tmp_path: Path) -> None:
    given = Choices(repositories=(Repository(name="r", baseurl=("https://m.example/",)),))
    text = GOOD.replace("url --url=https://mirror.example/os/\n", REPLACED_LINES)

    plan, findings = plan_text(tmp_path, text, choices=given)
    without = plan_text(tmp_path, text)[1]

    assert not findings.errors, reported(findings, tmp_path)
    assert [repository.name for repository in plan.repositories] == ["r"]
    assert len(without.errors) == 4


def test_pykickstart_cannot_fetch_and_others_can() -> None:
    code = (
        "import builder.kickstart, pykickstart.load as load, requests; "
        "print(hasattr(load.requests, 'get'), hasattr(requests, 'get'))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False True\n"
