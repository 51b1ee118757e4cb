# SPDX-License-Identifier: MIT
"""The ini editor as a module for other programs."""

from pathlib import Path

import pytest
from openstack_utils import ini
from openstack_utils.errors import MissingError, StorageError, UtilityError

from tests.support.oslo_oracle import read_option

SAMPLE = "[DEFAULT]\n#debug = false\n\n[database]\nconnection = sqlite:///old\nm = 1\nm = 2\n"


@pytest.fixture
def files(folder: Path) -> list[str]:
    for name in ("api.conf", "registry.conf"):
        (folder / name).write_text(SAMPLE)
    return [str(folder / "api.conf"), str(folder / "registry.conf")]


def test_read(files: list[str]) -> None:
    file = ini.read(files[0])
    assert file.sections() == ["DEFAULT", "database"]
    assert file.names("database") == ["connection", "m"]
    assert file.names("nope") == []
    assert file.values("database", "m") == ["1", "2"]
    assert file.value("database", "m") == "2"
    assert file.value("database", "none", "default") == "default"
    assert file.problems == []


def test_edit_writes_all_files_and_values_exactly(files: list[str]) -> None:
    with ini.edit(files) as edited:
        for file in edited:
            file.set("database", "connection", "mysql://k:p$$ ;x@h/d")
            file.uncomment("DEFAULT", "debug")
            file.set_all("database", "m", ["3"])
            file.add("database", "m", "4")
            assert file.comment("database", "none") is False
    for name in files:
        assert read_option(Path(name), "database", "connection") == "mysql://k:p$$ ;x@h/d"
        assert read_option(Path(name), "database", "m", multi=True) == ["3", "4"]
        assert read_option(Path(name), "DEFAULT", "debug") == "false"


def test_an_exception_leaves_all_files_alone(files: list[str], folder: Path) -> None:
    def edit_and_fail() -> None:
        with ini.edit(files) as edited:
            edited[0].set("database", "connection", "new")
            raise RuntimeError

    def store_what_cannot_be() -> None:
        with ini.edit(files) as edited:
            edited[0].set("database", "connection", "new")
            edited[1].set("database", "connection", "a\n\nb")

    with pytest.raises(RuntimeError):
        edit_and_fail()
    with pytest.raises(StorageError, match=r"registry\.conf: .*empty line"):
        store_what_cannot_be()
    assert [Path(name).read_text() for name in files] == [SAMPLE, SAMPLE]
    assert len(list(folder.iterdir())) == 2


def test_missing_files(folder: Path) -> None:
    path = str(folder / "new")
    with pytest.raises(MissingError):
        ini.read(path)
    with pytest.raises(UtilityError, match="no such file"), ini.edit([path]):
        pass
    with ini.edit([path], create=True) as (file,):
        file.set("s", "a", "1")
    assert Path(path).read_text() == "[s]\na = 1\n"


def test_an_unreadable_result_is_refused(folder: Path) -> None:
    path = folder / "f"
    path.write_text("[s]\nflag\n")
    edit = ini.edit([str(path)])
    (file,) = edit.__enter__()
    assert file.problems
    file.set("s", "a", "1")
    with pytest.raises(UtilityError, match=":2: neither"):
        edit.__exit__(None, None, None)
    assert path.read_text() == "[s]\nflag\n"


def test_backup(files: list[str]) -> None:
    with ini.edit(files[:1], backup=".orig") as (file,):
        file.delete("database", "m", "1")
    assert Path(files[0] + ".orig").read_text() == SAMPLE
    assert ini.read(files[0]).values("database", "m") == ["2"]
