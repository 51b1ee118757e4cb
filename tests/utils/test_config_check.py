# SPDX-License-Identifier: MIT
"""--check, with schemas that oslo-config-generator itself writes."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg, generator

from tests.support.config_tool import config

OPTIONS: list[tuple[Any, list[Any]]] = [
    (None, [
        cfg.StrOpt("log-dir", deprecated_name="logdir", deprecated_group="log"),
        cfg.IntOpt("workers", min=1, max=5, default=3),
        cfg.BoolOpt("debug"),
        cfg.MultiStrOpt("plugin"),
        cfg.PortOpt("bind_port"),
        cfg.FloatOpt("ratio"),
        cfg.StrOpt("driver", choices=["sql", "ldap"]),
        cfg.IPOpt("my_ip"),
        cfg.HostAddressOpt("host"),
        cfg.URIOpt("endpoint"),
        cfg.DictOpt("mapping"),
        cfg.StrOpt("old_way", deprecated_for_removal=True, deprecated_reason="use another"),
    ]),
    ("database", [cfg.StrOpt("connection", secret=True), cfg.IntOpt("max_retries")]),
]  # fmt: skip


@pytest.fixture(scope="module", params=["json", "yaml"])
def schema(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    conf = cfg.ConfigOpts()
    generator.register_cli_opts(conf)
    conf(["--namespace", "x", "--format", request.param])
    text = io.StringIO()
    generator._output_machine_readable(generator._get_groups([("x", OPTIONS)]), text, conf)
    path = tmp_path_factory.mktemp("schema") / f"x.{request.param}"
    path.write_text(text.getvalue())
    return path


# id: (line in [DEFAULT], what is said, None for nothing)
LINES = {
    "known": ("debug = true", None),
    "name with a dash": (
        "log-dir = /x", "error: unknown option log-dir in [DEFAULT]; did you mean log_dir?"),
    "name with an underscore": ("log_dir = /x", None),
    "unknown": ("debugg = 1", "error: unknown option debugg in [DEFAULT]; did you mean debug?"),
    "in another section": (
        "connection = x",
        "error: unknown option connection in [DEFAULT]; did you mean [database] connection?"),
    "not a boolean": ("debug = maybe", "error: [DEFAULT] debug: 'maybe' is neither true nor false"),
    "boolean of any case": ("debug = Yes", None),
    "not an integer": ("workers = x", "error: [DEFAULT] workers: 'x' is not an integer"),
    "too small": ("workers = 0", "error: [DEFAULT] workers: 0 is less than 1"),
    "too large": ("workers = 6", "error: [DEFAULT] workers: 6 is more than 5"),
    "not a port": ("bind_port = 65536", "error: [DEFAULT] bind_port: 65536 is more than 65535"),
    "not a number": ("ratio = 1,5", "error: [DEFAULT] ratio: '1,5' is not a number"),
    "number": ("ratio = 1.5", None),
    "not a choice": ("driver = file", "error: [DEFAULT] driver: 'file' is none of sql, ldap"),
    "not an address": ("my_ip = 1.2.3", "error: [DEFAULT] my_ip: '1.2.3' is not an IP address"),
    "address": ("my_ip = ::1", None),
    "not a host": ("host = a b", "error: [DEFAULT] host: 'a b' is not a host name"),
    "host": ("host = node-1.example.org", None),
    "not a uri": ("endpoint = x", "error: [DEFAULT] endpoint: 'x' is not a URI"),
    "not a mapping": ("mapping = x", "error: [DEFAULT] mapping: 'x' is not a list of KEY:VALUE"),
    "another option's value": ("workers = $other", None),
    "to be removed": ("old_way = 1", "warning: [DEFAULT] old_way will be removed: use another"),
    "repeated": ("debug = 1\ndebug = 1", "warning: debug is also on line 2; the last one counts"),
    "repeated multi": ("plugin = 1\nplugin = 1", None),
}  # fmt: skip


@pytest.mark.parametrize("case", LINES)
def test_options_are_judged_by_the_schema(folder: Path, schema: Path, case: str) -> None:
    line, said = LINES[case]
    path = folder / "f"
    path.write_text(f"[DEFAULT]\n{line}\n")

    result = config("--check", "--schema", schema, path)

    if said is None:
        assert result.code == 0
        assert result.out.startswith(f"{path}: ok, ")
    else:
        at = 3 if case == "repeated" else 2
        assert result.out == f"{path}:{at}: {said}\n"
        assert result.code == (1 if said.startswith("error") else 0)


def test_oslo_config_agrees_about_wrong_types(folder: Path, schema: Path) -> None:
    for case, (line, said) in LINES.items():
        name = line.split(" = ")[0]
        option = next((o for o in OPTIONS[0][1] if o.dest == name.replace("-", "_")), None)
        if option is None or "$" in line or case in ("repeated", "to be removed"):
            continue
        path = folder / "f"
        path.write_text(f"[DEFAULT]\n{line}\n")
        conf = cfg.ConfigOpts()
        conf.register_opt(option)
        conf(["--config-file", str(path)], project="x", default_config_dirs=[])
        if said is None:
            assert conf[name] is not None
        elif "unknown" in said:
            assert conf[option.dest] is None
        else:
            with pytest.raises(ValueError):
                conf[name]


def test_sections_and_deprecated_names(folder: Path, schema: Path) -> None:
    path = folder / "f"
    path.write_text("[log]\nlogdir = /x\n[Database]\nmax_retries = 1\n[databse]\nconnection = x\n")
    result = config("--check", "--schema", schema, path)
    assert result.out.splitlines() == [
        f"{path}:2: warning: [log] logdir is deprecated, use [DEFAULT] log_dir",
        f"{path}:6: error: unknown section [databse] of option connection; did you mean [database]?",
    ]


def test_lines_are_counted_through_continuations_and_line_ends(folder: Path, schema: Path) -> None:
    path = folder / "f"
    for end in ("\n", "\r\n", "\r"):
        path.write_bytes(
            end.join(["# c", "[DEFAULT]", "debug = 1", "", "host = a", "x = 1", " 2", "y=1"]).encode()
        )
        found = config("--check", "--schema", schema, path).out.splitlines()
        assert [line.split(":")[1] for line in found] == ["6", "8"], repr(end)


def test_what_a_terminal_would_obey_is_shown_as_text(folder: Path) -> None:
    path = folder / "f"
    path.write_text("[DEFAULT]\n\x1b[2Jfoo\u202e\n")

    assert config("--check", path).out == f"{path}:2: error: neither '=' nor ':' in '\\x1b[2Jfoo\\u202e'\n"
    assert "\x1b" not in config("--get", path, "DEFAULT", "foo").err


def test_several_files_and_json(folder: Path) -> None:
    good, bad = folder / "good", folder / "bad"
    good.write_text("[s]\na=1\n[t]\nb=1\nc=1\n")
    bad.write_bytes(b"a=1\n[s]\nb=\xe9\n  [t]\n")
    result = config("--check", good, bad)
    assert result.code == 1
    assert result.out.splitlines() == [
        f"{good}: ok, 3 options in 2 sections",
        f"{bad}:1: error: the option 'a' is before the first [section]",
        f"{bad}:3: error: not UTF-8: byte 0xe9 at offset 10",
    ]
    found = json.loads(config("--check", "--json", good, bad).out)
    assert [(one["line"], one["level"]) for one in found] == [(1, "error"), (3, "error")]
    assert config("--check", "--json", good).out == "[]\n"


@pytest.mark.parametrize("begin", ['{"options": ', "options: ", "- " * 100_000], ids=["JSON", "YAML", "list"])
def test_a_schema_that_is_nested_too_deeply_is_refused(tmp_path: Path, begin: str) -> None:
    (tmp_path / "schema").write_text(begin + "[" * 100_000)
    (tmp_path / "file").write_text("")

    result = config("--check", "--schema", tmp_path / "schema", tmp_path / "file")

    assert (result.code, result.out) == (1, "")
    assert "not a schema of oslo-config-generator: " in result.err
    assert "nest" in result.err
