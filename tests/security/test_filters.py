# SPDX-License-Identifier: MIT
"""Filters of system calls: what programs in rooms of verify are refused, and what the filters are made of."""

from __future__ import annotations

import errno
import json
import os
import re
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from builder import calls, room, seccomp
from builder.report import Report
from builder.runner import Runner

PROGRAM = Path(__file__).with_name("tried_calls.py").read_text()
PYTHON = ["/usr/bin/python3", "-c", PROGRAM]


def as_parser(folder: Path) -> str:
    """Return what the program says in the room of qemu-img, debugfs, e2fsck, ssh and the others."""
    return room.run_apart(Runner(Report(quiet=True)), PYTHON, writable=folder).stdout


def as_machine(folder: Path) -> str:
    """Return what it says in the room of qemu."""
    log = folder / "log"
    room.start_apart(Runner(Report(quiet=True)), PYTHON, folder=folder, log=log).wait()
    return log.read_text()


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers of calls are x86-64's")
@pytest.mark.parametrize(
    ("say", "families"),
    [(as_parser, {"unix"}), (as_machine, {"unix", "inet", "inet6", "netlink"})],
    ids=["a parser", "a machine"],
)
def test_a_program_of_verify_has_no_call_that_it_does_not_need(
    tmp_path: Path, say: Callable[[Path], str], families: set[str]
) -> None:
    outside = json.loads(subprocess.run(PYTHON, capture_output=True, text=True, check=True).stdout)
    found = json.loads(say(tmp_path))

    assert {name: said for name, said in found["calls"].items() if said not in ("EPERM", "ENOSYS")} == {}
    assert {name for name, said in found["families"].items() if said == "allowed"} == families
    # What was refused is there: outside it does something, or fails for its arguments.
    assert len([name for name in found["calls"] if outside["calls"][name] != found["calls"][name]]) > 15


def answer(code: bytes, machine: int, number: int, *arguments: int) -> str:
    """Return what a filter answers to a call, as the kernel runs it (bpf(4), struct seccomp_data)."""
    words = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=iIQ6Q", number, machine, 0, *words)
    program = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    at, loaded = 0, 0
    while True:
        operation, yes, no, value = program[at]
        at += 1
        if operation == 0x20:  # BPF_LD | BPF_W | BPF_ABS
            (loaded,) = struct.unpack_from("=I", data, value)
        elif operation == 0x06:  # BPF_RET | BPF_K
            number = value & 0xFFFF
            kind = {0x7FFF0000: "allowed", 0x00050000: errno.errorcode.get(number, "done")}
            return kind[value & 0xFFFF0000]
        else:  # BPF_JMP with BPF_JEQ, BPF_JGE, BPF_JSET, all | BPF_K
            test = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}[operation]
            at += yes if test else no


FILTERS = {
    "BASE": seccomp.BASE, "FOREIGN": seccomp.FOREIGN, "PARSER": seccomp.PARSER, "MACHINE": seccomp.MACHINE,
}  # fmt: skip
OTHERS = {"x86_64": "aarch64", "aarch64": "x86_64"}


@pytest.mark.parametrize("machine", calls.MACHINES)
@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_answers_on_each_machine_as_its_rules_say(name: str, machine: str) -> None:
    rules, architecture = FILTERS[name], calls.MACHINES[machine]
    code = seccomp.compile_rules(rules, machine)

    def said(call: str, *arguments: int) -> str:
        return answer(code, architecture, calls.number(call, machine), *arguments)

    for call, wanted in rules.answers.items():
        assert said(call) == (errno.errorcode[wanted] if wanted else "done"), call
    if rules.families:
        for call in ("socket", "socketpair"):
            found = {family for family in range(50) if said(call, family) == "allowed"}
            assert found == set(rules.families)
    for call in ("clone", "unshare"):
        for flag in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
            assert said(call, flag | 0x200) == ("allowed" if rules.namespaces else "EPERM")
        assert said(call, 0x003D0F00) == "allowed"  # a thread
    for request, wanted_there in ((0x5412, "EPERM"), (0x541C, "EPERM"), (0x5413, "allowed")):
        assert said("ioctl", 1, request) == ("allowed" if rules.typing else wanted_there)
    # Another architecture's, x32's, and what was not there yet.
    assert answer(code, calls.MACHINES[OTHERS[machine]], calls.number("fsync", machine)) == "ENOSYS"
    assert answer(code, architecture, 0x40000000) == "ENOSYS"
    assert answer(code, architecture, 470) == "ENOSYS"
    assert len(code) // 8 < 4096  # BPF_MAXINSNS


HEADERS = {
    "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
    "aarch64": "/usr/include/asm-generic/unistd.h",
}
# Newer than the oldest headers that we build next to; from 424 on all architectures have the same numbers.
NEWER = {"open_tree_attr": 467}


@pytest.mark.parametrize("machine", calls.MACHINES)
def test_numbers_of_system_calls_are_those_of_the_kernel(machine: str) -> None:
    header = Path(HEADERS[machine])
    if not header.exists():
        pytest.skip("the kernel's headers are not here")
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())
    known = NEWER | {name: int(number) for name, number in found}

    assert {name: calls.number(name, machine) for name in calls.NUMBERS} == {
        name: known[name] for name in calls.NUMBERS
    }
    filtered = {name for rules in FILTERS.values() for name in rules.answers}
    assert filtered <= known.keys()


@pytest.mark.parametrize("machine", calls.MACHINES)
def test_no_two_calls_have_one_number(machine: str) -> None:
    numbers = [calls.number(name, machine) for name in calls.NUMBERS]

    assert sorted(numbers) == sorted(set(numbers))
