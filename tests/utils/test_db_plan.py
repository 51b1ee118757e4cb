# SPDX-License-Identifier: MIT
"""What openstack-db is going to do, from the catalogue and from what is there; options, names, schemas."""

import json
from pathlib import Path

import pytest
from openstack_utils.db import arguments, names, schema
from openstack_utils.db import plan as db_plan
from openstack_utils.db.catalogue import Catalogue, Places
from openstack_utils.db.server.statements import (
    ACCOUNT,
    DATABASE,
    GRANT,
    PASSWORD,
    MySQL,
    PostgreSQL,
    ServerChange,
)
from openstack_utils.db.urls import parse
from openstack_utils.errors import UsageError
from openstack_utils.host import passwords
from openstack_utils.host.masking import Secrets
from openstack_utils.host.programs import interpreter_of

from builder.catalogue.hostdata import render_services
from builder.catalogue.load import load_catalogue

DATA = json.loads(render_services(load_catalogue()))
URL = "mysql+pymysql://keystone:pw@127.0.0.1/keystone"


def catalogue(folder=""):
    return Catalogue(Places(root=str(folder)), DATA)


def wanted(service, **more):
    urls = {each.name: parse(URL) for each in service.databases}
    values = {"urls": urls, "hosts": ("localhost", "127.0.0.1"), "charset": "utf8mb4", "password": "pw"}
    return db_plan.DesiredDatabases(**dict(values, **more))


def test_all_is_made_where_nothing_is():
    service = catalogue().service("keystone", "current")
    (option, _), *_ = service.options

    plan = db_plan.make_plan(service, wanted(service), db_plan.ServerState(values={option: None}))

    assert plan.changes == (
        ServerChange(ACCOUNT, "", "keystone", "localhost"),
        ServerChange(ACCOUNT, "", "keystone", "127.0.0.1"),
        ServerChange(DATABASE, "keystone", "keystone"),
        ServerChange(GRANT, "keystone", "keystone", "localhost"),
        ServerChange(GRANT, "keystone", "keystone", "127.0.0.1"),
    )
    assert plan.values == {option: URL}


def test_what_is_there_is_left_and_what_is_missing_is_made():
    service = catalogue().service("keystone", "current")
    (option, _), *_ = service.options
    local = ServerChange(ACCOUNT, "", "keystone", "localhost")
    there = db_plan.ServerState(
        frozenset(["keystone"]), frozenset([local]),
        frozenset([ServerChange(GRANT, "keystone", "keystone", "localhost")]), {option: URL},
    )  # fmt: skip

    plan = db_plan.make_plan(service, wanted(service), there)

    assert plan.changes == (
        ServerChange(ACCOUNT, "", "keystone", "127.0.0.1"),
        ServerChange(GRANT, "keystone", "keystone", "127.0.0.1"),
    )
    assert plan.values == {}


def test_a_password_is_set_anew_when_it_is_asked_for_only():
    service = catalogue().service("keystone", "current")
    accounts = frozenset(ServerChange(ACCOUNT, "", "keystone", host) for host in ("localhost", "127.0.0.1"))
    there = db_plan.ServerState(frozenset(["keystone"]), accounts)

    kept = db_plan.make_plan(service, wanted(service), there)
    given = db_plan.make_plan(service, wanted(service, is_given=True), there)

    assert not [each for each in kept.changes if each.kind == PASSWORD]
    assert len([each for each in given.changes if each.kind == PASSWORD]) == 2


@pytest.mark.parametrize(
    ("old", "is_kept"),
    [
        (URL, True),
        (URL.replace("pw", "%70w"), True),
        (URL.replace("pw", "p@w"), False),
        (URL.replace("pw@", "other@"), False),
        (URL.replace("+pymysql", ""), False),
    ],
)
def test_a_url_stays_when_it_says_the_same(old, is_kept):
    service = catalogue().service("keystone", "current")
    (option, _), *_ = service.options

    plan = db_plan.make_plan(service, wanted(service), db_plan.ServerState(values={option: old}))

    assert (option not in plan.values) == is_kept


COMPOSE = {
    "nothing there": (None, {}, "mysql+pymysql://keystone:n@127.0.0.1/keystone"),
    "host, port and query stay": (
        "mysql+pymysql://keystone:o@db:3307/keystone?charset=utf8", {},
        "mysql+pymysql://keystone:n@db:3307/keystone?charset=utf8",
    ),
    "Python 2's driver": ("mysql://keystone:keystone@localhost/keystone", {}, "mysql+pymysql://keystone:n@localhost/keystone"),
    "a driver that is named": ("mysql+mysqldb://k:o@db/k", {}, "mysql+mysqldb://keystone:n@db/keystone"),
    "another host": ("mysql+pymysql://k:o@db:1/k?unix_socket=/s", {"host": "new"}, "mysql+pymysql://keystone:n@new:1/keystone"),
    "sqlite": ("sqlite:///k.sqlite", {}, "mysql+pymysql://keystone:n@127.0.0.1/keystone"),
    "other engine": ("postgresql://k:o@db/k?x=y", {}, "mysql+pymysql://keystone:n@127.0.0.1/keystone"),
    "a socket stays": ("mysql+pymysql://k:o@/k?unix_socket=/s", {}, "mysql+pymysql://keystone:n@/keystone?unix_socket=/s"),
    "TLS": (None, {"host": "db", "ssl_ca": "/ca"}, "mysql+pymysql://keystone:n@db/keystone?ssl_ca=/ca"),
    "TLS of PostgreSQL": (
        None, {"engine": "postgresql", "host": "db", "ssl_ca": "/ca"},
        "postgresql+psycopg2://keystone:n@db/keystone?sslmode=verify-full&sslrootcert=/ca",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "options", "new"), COMPOSE.values(), ids=COMPOSE.keys())
def test_only_what_was_asked_for_changes_in_a_url(old, options, new):
    service = catalogue().service("keystone", "current")
    preferences = db_plan.Preferences(**dict({"engine": "mysql"}, **options))
    url = parse(old) if old else None

    composed = db_plan.compose(url, service.databases[0], "n", preferences, service.drivers)

    assert composed.text() == new


def test_commands_are_those_of_new_databases_and_of_set_options():
    service = catalogue().service("nova", "current")

    all_of_them, left_out = db_plan.commands_of(service, ["nova", "nova_api", "nova_cell0"], lambda _: None)
    with_transport, none = db_plan.commands_of(service, ["nova"], lambda _: "rabbit://")

    assert [command.run[-1] for command in left_out] == ["--name=cell1"]
    assert len(all_of_them) == 3
    assert [command.run[-1] for command in with_transport] == ["--name=cell1", "sync"]
    assert none == []


@pytest.mark.parametrize("dialect", [MySQL, PostgreSQL])
def test_values_are_never_in_the_text_of_a_statement(dialect):
    secret = "it's; DROP DATABASE x;--"
    for kind in (ACCOUNT, PASSWORD):
        (statement,) = dialect.make(ServerChange(kind, "", "keystone", "h'; --"), secret, "utf8")
        assert secret not in statement.sql
        assert secret not in statement.shown()
        assert secret in statement.values


def test_every_name_of_the_catalogue_needs_no_quoting():
    for name in catalogue().names:
        for release in DATA["projects"][name]["releases"].values():
            for database, facts in release["databases"].items():
                assert (database + facts["account"]).replace("_", "").isalnum()


@pytest.mark.parametrize(("word", "name"), [("quantum", "neutron"), ("nova", "nova"), ("horizon", "horizon")])
def test_names_and_former_names(word, name):
    assert catalogue().resolve(word) == name


def test_services_with_a_database_are_listed_and_no_others():
    names = set(catalogue().names)

    assert {"keystone", "nova", "trove"} <= names
    assert names.isdisjoint({"swift", "horizon"})


KEYSTONE, REGISTRY = "keystone/keystone.conf", "glance/glance-registry.conf"
RELEASES = {
    "essex by its key": ("keystone", KEYSTONE, "[sql]\nconnection = mysql://k:k@h/k\n", "essex"),
    "current by its key": ("keystone", KEYSTONE, "[database]\nconnection = x://h/k\n", "current"),
    "essex commented": ("keystone", KEYSTONE, "[sql]\n# connection = mysql://k:k@h/k\n", "essex"),
    "nothing": ("keystone", "keystone/keystone.conf", "[DEFAULT]\n", "current"),
    "essex nova": ("nova", "nova/nova.conf", "[DEFAULT]\nsql_connection = mysql://n:n@h/n\n", "essex"),
    "essex glance": ("glance", REGISTRY, "[DEFAULT]\nsql_connection = sqlite:///x\n", "essex"),
    "quantum": (
        "neutron", "quantum/plugins/openvswitch/ovs_quantum_plugin.ini",
        "[DATABASE]\nsql_connection = mysql://q:q@h/ovs_quantum\n", "essex",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "path", "text", "release"), RELEASES.values(), ids=RELEASES.keys())
def test_the_release_is_that_of_the_files(tmp_path, monkeypatch, name, path, text, release):
    monkeypatch.setenv("PATH", "/nonexistent")
    file = tmp_path / "etc" / path
    file.parent.mkdir(parents=True)
    file.write_text(text)

    assert catalogue(tmp_path).service(name).release == release


def test_paths_below_root_and_in_place_of_etc(tmp_path):
    (tmp_path / "keystone.conf").write_text("")
    alone = Places(config_dir=str(tmp_path)).path("/etc/keystone/keystone.conf")

    assert Places().path("/etc/x/y.conf") == "/etc/x/y.conf"
    assert Places(root="/r").path("/etc/x/y.conf") == "/r/etc/x/y.conf"
    assert Places(config_dir="/c").path("/etc/x/y.conf") == "/c/x/y.conf"
    assert alone == str(tmp_path / "keystone.conf")


@pytest.mark.parametrize(
    ("text", "interpreter"),
    [
        ("#!/usr/bin/python3 -s\nx", "/usr/bin/python3"),
        ("#!/bin/sh\n'''exec' \"/long path/bin/python\" \"$0\" \"$@\"\n' '''\nx", "/long path/bin/python"),
        ("no script", None),
    ],
)
def test_interpreter_of_a_program(tmp_path, text, interpreter):
    program = tmp_path / "x-manage"
    program.write_text(text)

    assert interpreter_of(str(program)) == interpreter
    assert interpreter_of(str(tmp_path / "none")) is None


GRAPH = {"a": [], "e1": ["a"], "e2": ["e1"], "c1": ["a", "e1"]}


@pytest.mark.parametrize(
    ("revisions", "tables", "state"),
    [
        ({"e2", "c1"}, {"x"}, "current"),
        ({"e1", "c1"}, {"x"}, "behind"),
        ({"c1"}, {"x"}, "behind"),
        ({"newer"}, {"x"}, "unknown"),
        (None, {"x"}, "unknown"),
        (None, set(), "empty"),
        (set(), {"x"}, "behind"),
    ],
)
def test_tables_are_judged_by_the_heads_of_the_code(revisions, tables, state):
    assert schema.heads(GRAPH) == {"e2", "c1"}
    assert schema.judge(GRAPH, revisions, tables) == state


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("--init", "--service NAME"),
        ("--service nova", "--init, --update, --check or --drop"),
        ("--init --drop --service nova", "--init and --drop exclude"),
        ("--verbose --init --service nova", "unrecognized arguments: --verbose"),
        ("--init --service nova -p x --generate-password", "exclude each other"),
        ("--init --service nova --port 0", "is not a port"),
        ("--init --service nova --charset utf8;x", "character set"),
        ("--drop --service nova --password-file x", "goes with --init"),
        ("--init --service nova --all-installed", "or --all-installed"),
    ],
)
def test_usage_is_refused(words, text):
    with pytest.raises(UsageError) as caught:
        arguments.parse(words.split())

    assert text in caught.value.message


def test_secrets_are_masked_in_every_form():
    secrets = Secrets(["keystone"])
    secrets.add("p@s's")
    secrets.add("keystone")

    assert secrets.mask("p@s's p%40s%27s p@s''s keystone") == "*** *** *** keystone"


def test_generated_passwords_please_every_policy():
    made = {passwords.generate() for _ in range(50)}

    assert len(made) == 50
    for password in made:
        assert len(password) == 32
        assert password[0].isalnum()
        assert any(map(str.isupper, password))
        assert any(map(str.islower, password))
        assert any(map(str.isdigit, password))


@pytest.mark.parametrize("data", [b"\xff", b"two\nlines\n", b"a\x00b"])
def test_what_is_no_password_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "password"
    path.write_bytes(data)

    with pytest.raises(UsageError):
        passwords.read_password(str(path), "the password")


def test_a_password_of_a_file_keeps_its_blanks(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_bytes("  ä  \r\n".encode())

    assert passwords.read_password(str(path), "the password") == "  ä  "


NOVA = (
    "nova",
    {"database": "mysql+pymysql://cloud:p@h/cloud", "api_database": "mysql+pymysql://cloud:p@h/cloud_api"},
)


def test_names_of_novas_three_databases_are_those_of_its_urls() -> None:
    service = catalogue().service("nova", "current")
    values = {option: NOVA[1][option.section] for option, _ in service.options}

    found = names.adopt(service, values)

    assert [(each.name, each.account) for each in found.databases] == [
        ("cloud_api", "cloud"), ("cloud", "cloud"), ("cloud_cell0", "cloud"),
    ]  # fmt: skip
    assert "{template:cloud_cell0}" in found.sync[1].run
    assert found.sync[-1].databases == ("cloud_api", "cloud", "cloud_cell0")
    assert names.foreign(service, found) == [
        "database cloud_api", "account cloud", "database cloud", "database cloud_cell0",
    ]  # fmt: skip
    assert names.adopt(service, values, "postgresql") == service


def test_options_that_name_different_databases_are_refused() -> None:
    service = catalogue().service("glance", "essex")
    options = [option for option, _ in service.options]
    values = {option: f"mysql://glance:p@h/glance{number}" for number, option in enumerate(options)}

    with pytest.raises(UsageError, match="name different databases or accounts"):
        names.adopt(service, values)


def test_short_passwords_are_masked_as_whole_words_only() -> None:
    secrets = Secrets()
    for password in ("a", "root", "s3cret-and-long"):
        secrets.add(password)

    assert secrets.mask("localhost: root, 'a', xs3cret-and-longx") == "localhost: root, '***', x***x"
