# SPDX-License-Identifier: MIT
"""--effective: what oslo.config itself ends with, from the same files."""

import json
from pathlib import Path

import pytest
from openstack_utils.config import sources
from oslo_config import cfg

from .config_tool import config

MAIN = """\
[DEFAULT]
host = h1
state_path = /var/lib/x
lock_path = $state_path/lock
money = $$5 and \\$6
other = ${database.name}
[database]
connection = sqlite://
name = N
[Cache]
host = h2
url = http://$host/$state_path
"""
DROP_IN = "[database]\nconnection = mysql://$host/k\n[DEFAULT]\nhost = h9\n"
OPTIONS = [
    ("DEFAULT", "host"), ("DEFAULT", "state_path"), ("DEFAULT", "lock_path"), ("DEFAULT", "money"),
    ("DEFAULT", "other"), ("database", "connection"), ("database", "name"), ("cache", "host"),
    ("cache", "url"),
]  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> "tuple[Path, Path]":
    main, folder = tmp_path / "x.conf", tmp_path / "x.conf.d"
    folder.mkdir()
    main.write_text(MAIN)
    (folder / "10.conf").write_text("[database]\nconnection = postgresql://\n")
    (folder / "20.conf").write_text(DROP_IN)
    (folder / "20.conf.rpmsave").write_text("[DEFAULT]\nhost = no\n")
    return main, folder


def test_values_are_those_of_oslo_config(files: "tuple[Path, Path]") -> None:
    main, folder = files
    conf = cfg.ConfigOpts()
    for section, name in OPTIONS:
        conf.register_opts([cfg.StrOpt(name)], group=None if section == "DEFAULT" else section)
    conf(["--config-file", str(main), "--config-dir", str(folder)], project="x")

    shown = json.loads(config("--effective", "--json", main, f"--config-dir={folder}").out)

    ours = {(row["section"], row["option"]): row["value"] for row in shown}
    assert ours == {
        (section, name): conf[name] if section == "DEFAULT" else conf[section][name]
        for section, name in OPTIONS
    }


def test_file_line_and_what_is_overridden_are_named(files: "tuple[Path, Path]") -> None:
    main, folder = files

    shown = config("--effective", "--only", "database/connection", main, "--config-dir", folder)

    assert shown == (
        0,
        f"[database] connection = mysql://h9/k\n    from {folder}/20.conf:2, written as mysql://$host/k\n"
        f"    overrides {folder}/10.conf:2, postgresql://\n    overrides {main}:8, sqlite://\n",
        "",
    )


def test_default_of_the_code_and_a_circle_are_named(folder: Path) -> None:
    path = folder / "f"
    path.write_text("[s]\na = $nosuch\nb = $c\nc = $b\n")

    rows = json.loads(config("--effective", "--json", path).out)

    assert [row.get("unresolved") for row in rows] == [["nosuch"], ["b"], ["c"]]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(["--effective"], 2, "--effective takes FILE..., or --service NAME", id="no file"),
        pytest.param(["--effective", "--service", "nova-compite"], 2, "unknown service", id="unknown"),
        pytest.param(["--effective", "--only", "a/b", "{f}"], 1, "parameter not found: a/b", id="not set"),
        pytest.param(["--get", "--only", "a", "{f}"], 2, "goes with --effective", id="alone"),
    ],
)
def test_wrong_calls(folder: Path, words: list[str], code: int, said: str) -> None:
    path = folder / "f"
    path.write_text("[s]\na = 1\n")

    shown = config("--strict-exit", *[word.replace("{f}", str(path)) for word in words])

    assert (shown.code, shown.out) == (code, "")
    assert said in shown.err


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            [],
            ["share/p/p-dist.conf", "etc/p/p.conf", "etc/p/prog.conf", "etc/p/p.conf.d/1.conf"],
            id="no arguments: the folders come last",
        ),
        pytest.param(
            [("file", "etc/p/p.conf")], ["etc/p/p.conf.d/1.conf", "etc/p/p.conf"], id="a file comes last"
        ),
        pytest.param(
            [("file", "etc/p/p.conf"), ("folder", "etc/p/more")],
            ["etc/p/p.conf", "etc/p/more/2.conf"],
            id="a folder replaces the default ones",
        ),
    ],
)
def test_order_of_a_services_files(
    tmp_path: Path, given: "list[tuple[str, str]]", expected: list[str]
) -> None:
    names = ["share/p/p-dist.conf", "etc/p/p.conf", "etc/p/prog.conf", "etc/p/p.conf.d/1.conf"]
    for name in [*names, "etc/p/more/2.conf"]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    pairs = [(kind, str(tmp_path / name)) for kind, name in given]

    found = sources.order("p", "prog", pairs, str(tmp_path / "etc"), str(tmp_path / "share"))

    assert found == [str(tmp_path / name) for name in expected]
