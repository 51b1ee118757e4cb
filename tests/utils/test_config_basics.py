# SPDX-License-Identifier: MIT
"""openstack-config --get, --set and --del, as they are typed on every host."""

from pathlib import Path

import pytest

from tests.support.config_tool import config

SAMPLE = """\
# Keystone
[DEFAULT]
debug = true

[sql]
connection = mysql://a:p ;x@h/d
Foo = 1
foo: 2
"""


@pytest.fixture
def sample(folder: Path) -> Path:
    path = folder / "keystone.conf"
    path.write_text(SAMPLE)
    return path


def test_get_prints_the_value_the_service_reads(sample: Path) -> None:
    assert config("--get", sample, "sql", "connection").out == "mysql://a:p ;x@h/d\n"
    assert config("--get", sample, "sql", "foo").out == "2\n"


def test_get_lists_sections_and_names(sample: Path) -> None:
    assert config("--get", sample).out == "DEFAULT\nsql\n"
    assert config("--get", sample, "sql").out == "connection\nFoo\nfoo\n"


def test_set_touches_one_line(sample: Path) -> None:
    assert config("--set", sample, "sql", "foo", "3") == (0, "", "")
    assert sample.read_text() == SAMPLE.replace("foo: 2", "foo: 3")


def test_set_leaves_nothing_of_the_old_value(sample: Path) -> None:
    config("--set", sample, "sql", "connection", "new")
    assert sample.read_text() == SAMPLE.replace("mysql://a:p ;x@h/d", "new")


def test_set_adds_option_and_section(sample: Path) -> None:
    config("--set", sample, "DEFAULT", "verbose", "1", "--set", sample, "new", "a", "b")
    expected = SAMPLE.replace("debug = true\n", "debug = true\nverbose = 1\n") + "\n[new]\na = b\n"
    assert sample.read_text() == expected


def test_del_removes_option_and_section(sample: Path) -> None:
    config("--del", sample, "sql", "Foo")
    assert sample.read_text() == SAMPLE.replace("Foo = 1\n", "")
    config("--del", sample, "sql")
    assert sample.read_text() == "# Keystone\n[DEFAULT]\ndebug = true\n"


def test_set_creates_a_private_file_and_says_so(folder: Path) -> None:
    path = folder / "new.conf"
    result = config("--set", path, "DEFAULT", "a", "1")
    assert result == (0, "", f"note: created {path} (mode 0640)\n")
    assert path.read_text() == "[DEFAULT]\na = 1\n"
    assert path.stat().st_mode & 0o777 == 0o640


def test_missing_things_are_an_error(sample: Path, folder: Path) -> None:
    assert config("--get", sample, "sql", "none").code == 1
    assert config("--get", sample, "none").code == 1
    missing = folder / "none.conf"
    assert config("--get", missing, "sql").err == f"error: {missing}: no such file\n"
    assert not missing.exists()
