# SPDX-License-Identifier: MIT
"""The accounts that packages declare, as the builder makes them in a tree."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from builder.image.packages.dnf import WORKER

PASSWD = "root:x:0:0:root:/root:/bin/bash\nswift:x:160:160::/:/sbin/nologin\n"
GROUP = "root:x:0:\nswift:x:160:\nnova:x:162:\n"


@pytest.fixture(scope="module")
def sysusers() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sysusers", WORKER / "sysusers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    for name, text in (("passwd", PASSWD), ("group", GROUP), ("shadow", ""), ("gshadow", "")):
        (tmp_path / "etc" / name).write_text(text)
    return tmp_path


def ids(tree: Path, name: str) -> dict[str, int]:
    rows = [line.split(":") for line in (tree / "etc" / name).read_text().splitlines()]
    return {fields[0]: int(fields[2]) for fields in rows}


@pytest.mark.parametrize(
    ("lines", "users", "groups"),
    [
        pytest.param(["u glance 161"], {"glance": 161}, {"glance": 161}, id="an id of its own"),
        pytest.param(["u other 160"], {"other": 999}, {"other": 999}, id="the id is another's"),
        pytest.param(["g libvirt -"], {}, {"libvirt": 999}, id="any number is none that is given out"),
        pytest.param(["m nova libvirt"], {}, {"libvirt": 999}, id="a group that nobody declares"),
        pytest.param(
            ["u a -", "u b -"], {"a": 999, "b": 998}, {"a": 999, "b": 998}, id="one after the other"
        ),
    ],
)
def test_ids(
    lines: list[str],
    users: dict[str, int],
    groups: dict[str, int],
    sysusers: ModuleType,
    tree: Path,
) -> None:
    sysusers.make(str(tree), lines)

    assert ids(tree, "passwd") == {"root": 0, "swift": 160, **users}
    assert ids(tree, "group") == {"root": 0, "swift": 160, "nova": 162, **groups}


def test_numbers_that_are_given_out_are_never_taken_for_any(sysusers: ModuleType, tree: Path) -> None:
    taken = "".join(f"g{number}:x:{number}:\n" for number in range(202, 1000))
    (tree / "etc/group").write_text(GROUP + taken)

    sysusers.make(str(tree), ["g last -"])

    assert ids(tree, "group")["last"] == 201
    with pytest.raises(StopIteration):
        sysusers.make(str(tree), ["g more -"])
