# SPDX-License-Identifier: MIT
"""What argparse and pykickstart find wrong with arguments is said as everything else, with a way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.kickstart_text import DISK, GOOD, REST, plan_text, reported

# line -> message and hint, after "error: test.ks:9: "
COMPLAINTS = {
    "lang": ("lang: needs an argument: lang", None),
    "lang en_US.UTF-8 de_DE": (
        "lang: unexpected argument: de_DE",
        'remove it, or quote the value that it belongs to: "a b"',
    ),
    "services .": (
        "services: unexpected argument: .",
        'remove it, or quote the value that it belongs to: "a b"',
    ),
    "part /a --size=4G": ('part --size: "4G" is not a whole number', "sizes are in MiB: --size=4096"),
    "part /a --size=512MiB": ('part --size: "512MiB" is not a whole number', "sizes are in MiB: --size=512"),
    "part /a --size=lots": ('part --size: "lots" is not a whole number', "sizes are in MiB: --size=2048"),
    "part /a -size=1000": ("part: unexpected argument: -size=1000", "did you mean --size?"),
    "bootloader --append=quiet splash": (
        "bootloader: unexpected argument: splash",
        'remove it, or quote the value that it belongs to: "a b"',
    ),
    "bootloader --timeout=never": ('bootloader --timeout: "never" is not a whole number', None),
    "network --bootproto=dchp": (
        'network --bootproto: "dchp" is not one of dhcp, bootp, static, query, ibft',
        "did you mean dhcp?",
    ),
    "network --onboot=maybe": (
        'network --onboot: "maybe" is not yes or no',
        "write --onboot=yes or --onboot=no",
    ),
    "user fred": ("user: --name is missing", "write user --name=fred"),
    "user --uid=5": ("user: --name is missing", "write user --name=VALUE"),
    "timezone UTC --isUTC": ("timezone has no option --isUTC", "did you mean --isUtc?"),
    "url": ("url: give one of --mirrorlist, --url, --metalink", None),
    "timesource --ntp-server=a --ntp-pool=b": (
        "timesource: give only one of --ntp-server, --ntp-pool",
        None,
    ),
    "user --name=fred --shell=bash": (
        'user --shell: "bash" is not an absolute path',
        "such as --shell=/bin/bash",
    ),
    "%packges": ("unknown section: %packges", "did you mean %packages?"),
    "%includ other.ks": ("unknown section: %includ", "did you mean %include?"),
}


@pytest.mark.parametrize("line", COMPLAINTS)
def test_complaint_names_command_and_option_and_a_way_out(tmp_path: Path, line: str) -> None:
    _, findings = plan_text(tmp_path, f"{GOOD}{line}\n")

    message, hint = COMPLAINTS[line]
    assert [(str(one.message), one.hint) for one in findings.errors] == [(message, hint)]
    assert reported(findings, tmp_path)[-1].startswith("error: test.ks:9: ")


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("selinux --permissive --disabled", "--permissive and --disabled"),
        ("firewall --enabled --port=22:tcp --disabled", "--enabled and --disabled"),
        ("rootpw --iscrypted --plaintext x", "--iscrypted and --plaintext"),
        ("selinux --enforcing", None),
        ("firewall --enable --enabled --ssh --http", None),
        ("clearpart --all --linux", None),
    ],
)
def test_options_that_contradict_each_other_are_a_warning(
    tmp_path: Path, line: str, options: str | None
) -> None:
    text = DISK + f"{line}\nurl --url=https://mirror.example/os/\n%packages\n@core\n%end\n"
    _, findings = plan_text(tmp_path, text)

    said = [one.message for one in findings.warnings if "contradict" in one.message]
    name = line.split()[0]
    assert said == ([f"{name}: {options} contradict each other: the last one counts"] if options else [])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "firewall --use-system-defaults --ssh --port=80:tcp",
            "firewall --use-system-defaults: --port, --ssh has no effect with it",
        ),
        ("firewall --enabled --use-system-defaults", None),
        (
            "bootloader --timeout=-1",
            "bootloader --timeout=-1: every boot waits at the menu until somebody presses a key",
        ),
        ("bootloader --timeout=0", None),
    ],
)
def test_what_an_option_takes_from_others_or_from_every_boot_is_a_warning(
    tmp_path: Path, line: str, said: str | None
) -> None:
    _, findings = plan_text(
        tmp_path, f"{DISK}{line}\nurl --url=https://mirror.example/os/\n%packages\n@core\n%end\n"
    )

    assert [one.message for one in findings.warnings] == ([said] if said else [])


def test_complaint_about_a_type_of_autopart_lists_the_types(tmp_path: Path) -> None:
    _, findings = plan_text(tmp_path, f"{REST}autopart --type=zfs\n")

    assert [(str(one.message), one.hint) for one in findings.errors] == [
        ("autopart --type=zfs: there is no such type", "one of lvm, btrfs, plain")
    ]


@pytest.mark.parametrize(
    "line",
    [
        "rootpw --plaintext=sesame",
        "rootpw open sesame",
        "rootpw --iscrypted open sesame",
        "user --name=fred --password=open sesame",
        "user --name=fred --password open sesame --groups=wheel",
        "bootloader --password=open sesame",
        "autopart --encrypted --passphrase=open sesame",
        "network --device=wlan0 --wpakey=open sesame",
        "vnc --password=open sesame",
    ],
)
def test_password_that_is_written_wrongly_is_not_repeated(tmp_path: Path, line: str) -> None:
    _, findings = plan_text(tmp_path, f"{GOOD}{line}\n")

    text = "\n".join([*reported(findings, tmp_path), *(str(one.hint) for one in findings.errors)])
    assert "test.ks:9: " in text
    assert "sesame" not in text
