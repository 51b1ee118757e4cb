# SPDX-License-Identifier: MIT
"""--effective: what oslo.config itself ends with, from the same files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from openstack_utils import sources
from oslo_config import cfg

from tests.support.config_tool import config

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
        pytest.param(["--set", "{f}", "s", "a", "1", "--service", "x"], 2, "--get, --check or", id="set"),
        pytest.param(["--get", "--service", "x", "a", "b", "c"], 2, "not 3 arguments", id="three words"),
        pytest.param(["--get", "--service", "nova-compite"], 2, "unknown service", id="get of unknown"),
        pytest.param(["--get", "{f}", "--config-dir=.", "--dialect=systemd"], 2, "exclude", id="dialect"),
        pytest.param(["--get", "{f}", "t", "--config-dir=."], 1, "section not found: t", id="no section"),
        pytest.param(["--get", "{f}", "s", "b", "--config-dir=."], 1, "not found: b in [s]", id="no option"),
    ],
)
def test_wrong_calls(folder: Path, words: list[str], code: int, said: str) -> None:
    path = folder / "f"
    path.write_text("[s]\na = 1\n")

    shown = config("--strict-exit", *[word.replace("{f}", str(path)) for word in words])

    assert (shown.code, shown.out) == (code, "")
    assert said in shown.err


def located(folder: Path) -> "Callable[[str], str]":
    """Return what finds a host's paths below a folder."""
    return lambda path: str(folder / path.lstrip("/"))


def put(folder: Path, files: "dict[str, str]") -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            [],
            ["usr/share/p/p-dist.conf", "etc/p/p.conf", "etc/p/prog.conf", "etc/p/p.conf.d/1.conf"],
            id="no arguments: the folders come last",
        ),
        pytest.param(
            [("file", "/etc/p/p.conf")], ["etc/p/p.conf.d/1.conf", "etc/p/p.conf"], id="a file comes last"
        ),
        pytest.param(
            [("file", "/etc/p/p.conf"), ("folder", "/etc/p/more")],
            ["etc/p/p.conf", "etc/p/more/2.conf"],
            id="a folder replaces the default ones",
        ),
        pytest.param(
            [("default", "/etc/p/prog.conf")],
            ["etc/p/prog.conf", "etc/p/p.conf.d/1.conf"],
            id="files of the program's own code: the folders come last",
        ),
    ],
)
def test_order_of_a_services_files(
    tmp_path: Path, given: "list[tuple[str, str]]", expected: list[str]
) -> None:
    names = ["usr/share/p/p-dist.conf", "etc/p/p.conf", "etc/p/prog.conf", "etc/p/p.conf.d/1.conf"]
    put(tmp_path, dict.fromkeys([*names, "etc/p/more/2.conf"], ""))

    found = sources.order("p", "prog", given, located(tmp_path))

    assert found == tuple(str(tmp_path / name) for name in expected)


UWSGI = "[Service]\nExecStart=uwsgi --ini /etc/glance/openstack-glance-api-uwsgi.ini\n"


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        pytest.param(
            None, ["etc/glance/glance-api.conf", "etc/glance/glance-api.conf.d/1.conf"], id="no unit"
        ),
        pytest.param(
            UWSGI, ["etc/glance/glance-api.conf", "etc/glance/glance-api.conf.d/1.conf"], id="our unit"
        ),
        pytest.param(
            UWSGI + "Environment=OS_GLANCE_CONFIG_DIR=/srv\n",
            ["srv/glance-api.conf", "etc/glance/glance-api.conf.d/1.conf"],
            id="another folder",
        ),
        pytest.param(
            UWSGI + 'Environment="OS_GLANCE_CONFIG_FILES=a.conf;/srv/glance-api.conf" X=1\n',
            ["etc/glance/a.conf", "srv/glance-api.conf", "etc/glance/glance-api.conf.d/1.conf"],
            id="other files",
        ),
    ],
)
def test_application_of_a_web_server_reads_what_its_code_looks_for(
    tmp_path: Path, unit: "str | None", expected: list[str]
) -> None:
    names = ["etc/glance/glance-api.conf", "etc/glance/uwsgi.conf", "etc/glance/glance-api.conf.d/1.conf",
             "etc/glance/a.conf", "srv/glance-api.conf"]  # fmt: skip
    put(tmp_path, dict.fromkeys(names, ""))
    if unit:
        put(tmp_path, {"usr/lib/systemd/system/openstack-glance-api.service": unit})

    found = sources.of_service("glance-api", located(tmp_path))

    assert found == ("openstack-glance-api", tuple(str(tmp_path / name) for name in expected))


def test_get_reads_as_the_service_does(files: "tuple[Path, Path]") -> None:
    main, folder = files
    main.write_text(MAIN + "[database]\nmany = 1\nmany = $name\n")
    (folder / "10.conf").write_text("[database]\nmany = 3\nhere = $nosuch\n")
    conf = cfg.ConfigOpts()
    conf.register_opts([cfg.StrOpt("name"), cfg.StrOpt("connection"), cfg.MultiStrOpt("many")], "database")
    conf.register_opts([cfg.StrOpt("host")])
    conf(["--config-file", str(main), "--config-dir", str(folder)], project="x")

    def get(*words: str) -> "list[str]":
        return config("--get", main, *words, "--config-dir", folder).out.splitlines()

    assert get("database", "connection") == [conf.database.connection] == ["mysql://h9/k"]
    assert get("database", "many", "--all") == conf.database.many == ["1", "N", "3"]
    assert get("DATABASE") == ["connection", "name", "many", "here"]
    assert get() == ["DEFAULT", "database", "cache"]
    assert get("--format=lines", "cache") == ["[ cache ] host = h2", "[ cache ] url = http://h2//var/lib/x"]
    assert json.loads(get("--json", "cache", "host")[0]) == "h2"
    # Without the folder it is the file, as it is written.
    assert config("--get", main, "database", "connection").out == "sqlite://\n"
    told = config("--get", main, "database", "here", "--config-dir", folder)
    assert (told.code, told.out) == (0, "$nosuch\n")
    assert "$nosuch is set in no file" in told.err


def test_check_judges_values_that_other_files_complete(files: "tuple[Path, Path]", tmp_path: Path) -> None:
    main, folder = files
    main.write_text("[DEFAULT]\nport = $base\nother = $base\n")
    (folder / "20.conf").write_text("[DEFAULT]\nbase = 70000\n")
    port = {"name": "port", "type": "port value", "min": 0, "max": 65535}
    options = [port, {"name": "other", "type": "string value"}, {"name": "base", "type": "integer value"}]
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps({"options": {"DEFAULT": {"opts": options}, "database": {"opts": []}}}))
    (folder / "10.conf").write_text("")

    alone = config("--check", "--schema", schema, main)
    together = config("--check", "--schema", schema, main, f"--config-dir={folder}")

    assert alone.code == 0
    assert together.code == 1
    assert f"{main}:2: error: [DEFAULT] port: 70000 is more than 65535\n" in together.out
    assert f"{folder}/20.conf: ok" in together.out
