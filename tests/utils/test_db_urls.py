# SPDX-License-Identifier: MIT
"""URLs of databases: what is read, what is written, Nova's templates."""

import pytest
from openstack_utils.db import urls
from openstack_utils.db.urls import Url, parse

READ = {
    "plain": ("mysql://nova:pw@db/nova", ("mysql", "nova", "pw", "db", "", "nova", "")),
    "driver and port": (
        "mysql+pymysql://nova:pw@10.0.0.1:3307/nova?charset=utf8",
        ("mysql+pymysql", "nova", "pw", "10.0.0.1", "3307", "nova", "charset=utf8"),
    ),
    "encoded": ("mysql://n:p%40%24%25%2F%23@db/n", ("mysql", "n", "p@$%/#", "db", "", "n", "")),
    "dollar of oslo.config": ("mysql://n:p$$foo@db/n", ("mysql", "n", "p$foo", "db", "", "n", "")),
    "raw at sign": ("mysql://n:p@ss@db:1/n", ("mysql", "n", "p@ss", "db", "1", "n", "")),
    "raw slash": ("mysql://n:p/ss@db/n", ("mysql", "n", "p/ss", "db", "", "n", "")),
    # The greedy `.*@` of the old tool ate host and database.
    "at sign in the query": ("mysql://n:pw@db/n?x=a@b", ("mysql", "n", "pw", "db", "", "n", "x=a@b")),
    "no login": ("mysql://db/n?x=a@b", ("mysql", "", None, "db", "", "n", "x=a@b")),
    "IPv6": ("mysql://n:pw@[::1]:3306/n", ("mysql", "n", "pw", "::1", "3306", "n", "")),
    "socket": (
        "mysql://n:pw@/n?unix_socket=/run/s",
        ("mysql", "n", "pw", "", "", "n", "unix_socket=/run/s"),
    ),
    "empty password": ("mysql://n:@db/n", ("mysql", "n", "", "db", "", "n", "")),
    "sqlite": ("sqlite:////var/lib/k.sqlite", ("sqlite", "", None, "", "", "/var/lib/k.sqlite", "")),
}


@pytest.mark.parametrize(("text", "parts"), READ.values(), ids=READ.keys())
def test_read(text, parts):
    assert tuple(parse(text)) == parts


@pytest.mark.parametrize("text", ["mysql", "", "a b://x", "://x"])
def test_what_is_no_url(text):
    assert parse(text) is None


@pytest.mark.parametrize(
    "password", ["p@ss", "p$foo", r"a&b|c\d", "p%41", " x ", "#", "ß", "密", "/?[]:;'\"", "x" * 64]
)
@pytest.mark.parametrize("scheme", ["mysql+pymysql", "mysql", "postgresql+psycopg2"])
def test_written_passwords_come_back_and_need_no_quoting(password, scheme):
    url = Url(scheme, "n", password, "db", "", "n", "")

    text = url.text()

    assert parse(text) == url
    assert set(text.split("://")[1].split("@")[0]).isdisjoint("$@# ;&|\\'\"")
    assert password not in url.masked() or password in "db n"
    assert password not in repr(url) or password == "#"


def test_pymysql_gets_text_whose_latin_1_is_the_password_in_utf_8():
    text = Url("mysql+pymysql", "n", "ß", "db", "", "n").text()

    assert text == "mysql+pymysql://n:%C3%83%C2%9F@db/n"


def test_options_of_the_query():
    url = parse("mysql://n:pw@db/n?charset=utf8&unix_socket=%2Frun%2Fs")

    assert url.socket == "/run/s"
    assert url.with_option("unix_socket", None).query == "charset=utf8"
    assert url.with_option("ssl_ca", "/a b").query.endswith("&ssl_ca=/a%20b")
    assert parse("postgresql://n@/n?host=/run/postgresql").socket == "/run/postgresql"
    assert parse("postgresql://n@/n?host=db").socket is None


@pytest.mark.parametrize(
    ("url", "template"),
    [
        ("mysql://n:p@db/nova", "{scheme}://{username}:{password}@{hostname}/nova_cell0"),
        (
            "mysql://n:p@db:1/nova?a=b",
            "{scheme}://{username}:{password}@{hostname}:{port}/nova_cell0?{query}",
        ),
        ("mysql://n:p@[::1]/nova", "{scheme}://{username}:{password}@[{hostname}]/nova_cell0"),
        ("mysql://n:p@/nova?unix_socket=/s", "{scheme}://{username}:{password}@/nova_cell0?{query}"),
    ],
)
def test_template_of_nova_has_the_parts_of_the_url_and_no_other(url, template):
    assert urls.template(parse(url), "nova_cell0") == template
