# SPDX-License-Identifier: MIT
"""The oslo dialect, row by row: what oslo.config reads, what --get prints, what --set leaves."""

from pathlib import Path

import pytest

from tests.support.config_tool import config
from tests.support.oslo_oracle import read_by_oslo, read_option

# id: (text of the file, section, option, values oslo.config reads)
READ = {
    "repeated option": ("[s]\na=1\na=2\n", "s", "a", ["1", "2"]),
    "repeated section": ("[s]\na=1\n[t]\nb=1\n[s]\nc=3\n", "s", "c", ["3"]),
    "upper case": ("[s]\nFoo=1\nfoo=2\n", "s", "Foo", ["1"]),
    "lower case": ("[s]\nFoo=1\nfoo=2\n", "s", "foo", ["2"]),
    "equal to the default": ("[DEFAULT]\nd=1\n[s]\nd=1\n", "s", "d", ["1"]),
    "blank and semicolon": ("[s]\na = p ;x\n", "s", "a", ["p ;x"]),
    "blank and hash": ("[s]\na = v # c\n", "s", "a", ["v # c"]),
    "continuation": ("[s]\na = one\n  two\n\tthree\n", "s", "a", ["one\ntwo\nthree"]),
    "continued from nothing": ("[s]\na =\n  two\n", "s", "a", ["\ntwo"]),
    "double quotes": ('[s]\na = "x "\n', "s", "a", ["x "]),
    "single quotes": ("[s]\na = 'y'\n", "s", "a", ["y"]),
    "one pair of quotes": ("[s]\na = \"'y'\"\n", "s", "a", ["'y'"]),
    "unequal quotes": ("[s]\na = 'y\"\n", "s", "a", ["'y\""]),
    "dollar": ("[s]\na = $b $$x\n", "s", "a", ["$b $$x"]),
    "percent": ("[s]\na = %(x)s\n", "s", "a", ["%(x)s"]),
    "colon": ("[s]\nk: v\n", "s", "k", ["v"]),
    "first separator": ("[s]\nk = a:b=c\n", "s", "k", ["a:b=c"]),
    "colon first": ("[s]\nk:a=b\n", "s", "k", ["a=b"]),
    "crlf": ("[s]\r\na=1\r\n", "s", "a", ["1"]),
    "percent name": ("[s]\n%a = 1\n", "s", "%a", ["1"]),
    "no magic word": ("[s]\na = crudini_no_arg\n", "s", "a", ["crudini_no_arg"]),
    "empty value": ("[s]\na =\n", "s", "a", [""]),
    "blanks in a section name": ("[ s ]\na=1\n", " s ", "a", ["1"]),
    "bracket in a section name": ("[a]b]\na=1\n", "a]b", "a", ["1"]),
    "rem is a name": ("[s]\nremote = 1\n", "s", "remote", ["1"]),
    "no last line end": ("[s]\na=1", "s", "a", ["1"]),
    "indented hash continues": ("[s]\na=1\n  # c\n", "s", "a", ["1\n# c"]),
}


@pytest.mark.parametrize("case", READ)
def test_get_prints_what_oslo_config_reads(folder: Path, case: str) -> None:
    text, section, name, values = READ[case]
    path = folder / "f"
    path.write_text(text, newline="")

    read = read_by_oslo(path)

    assert read is not None
    assert read[section][name] == values
    assert config("--get", path, section, name) == (0, values[-1] + "\n", "")
    assert config("--get", "--all", path, section, name).out == "".join(v + "\n" for v in values)


UNREADABLE = {
    "flag": ("[s]\na=1\nflag\n", 3),
    "comment inside a continuation": ("[s]\na = 1\n# c\n  two\n", 4),
    "blank line inside a continuation": ("[s]\na = 1\n\n  two\n", 4),
    "indented first option": ("[s]\n  a = 1\n", 2),
    "indented section": ("  [s]\na = 1\n", 1),
    "text after a header": ("[s] # c\na=1\n", 1),
    "header without a name": ("[]\na=1\n", 1),
    "header without an end": ("[s\na=1\n", 1),
    "option without a name": ("[s]\n= v\n", 2),
    "no section at all": ("a=1\n", 1),
    "byte order mark": ("\ufeff[s]\na=1\n", 1),
    "include": ("%include x\n[s]\na=1\n", 1),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_oslo_config_cannot_read_is_never_written(folder: Path, case: str) -> None:
    text, line = UNREADABLE[case]
    path = folder / "f"
    path.write_text(text)

    assert read_by_oslo(path) is None
    assert config("--check", path).out.startswith(f"{path}:{line}: error: ")
    warned = config("--get", path)
    assert warned.code == 0
    assert warned.err.startswith(f"warning: {path}:{line}: ")
    refused = config("--set", path, "new", "k", "v")
    assert refused.code == 1
    assert refused.err.startswith(f"error: {path}:{line}: ")
    assert path.read_text() == text


def test_an_edit_may_repair_what_could_not_be_read(folder: Path) -> None:
    path = folder / "f"
    path.write_bytes(b"[s]\nflag\nb=\xe9\n")

    result = config("--set", path, "s", "flag", "1", "--set", path, "s", "b", "2")

    assert result == (0, "", "")
    assert read_by_oslo(path) == {"s": {"flag": ["1"], "b": ["2"]}}


def test_a_byte_that_is_not_utf8_is_named_by_its_offset(folder: Path) -> None:
    path = folder / "f"
    path.write_bytes(b"[s]\na=1\nb=\xe9\n")

    result = config("--set", path, "s", "a", "2")

    assert result.code == 1
    assert f"{path}:3: not UTF-8: byte 0xe9 at offset 10" in result.err
    assert path.read_bytes() == b"[s]\na=1\nb=\xe9\n"


# id: (value, what oslo.config reads then)
VALUES = {
    "semicolon": ("p ;x", "p ;x"),
    "hash": ("#x", "#x"),
    "leading and trailing blanks": ("  x ", "  x "),
    "only a blank": (" ", " "),
    "quotes are syntax": ('"x"', "x"),
    "a lone quote": ('"', '"'),
    "a quote and a blank": ('" ', '" '),
    "several lines": ("a\nb\nc", "a\nb\nc"),
    "lines that look like others": ("a\n[s]\n#c\nk=v", "a\n[s]\n#c\nk=v"),
    "first line empty": ("\na", "\na"),
    "bracket": ("[x]", "[x]"),
    "equal signs": ("a=b:c", "a=b:c"),
    "unicode": ("pässwörd \u2028", "pässwörd \u2028"),
    "unicode blank at the end": ("x\xa0", "x\xa0"),
    "empty": ("", ""),
}


@pytest.mark.parametrize("case", VALUES)
def test_a_value_is_read_back(folder: Path, case: str) -> None:
    value, meant = VALUES[case]
    path = folder / "f"
    path.write_text("[s]\nold = 1\n")

    assert config("--set", path, "s", "k", value) == (0, "", "")

    assert read_by_oslo(path) == {"s": {"old": ["1"], "k": [meant]}}
    assert config("--get", path, "s", "k").out == meant + "\n"
    assert config("--set", path, "s", "k", "other").code == 0
    assert path.read_text() == "[s]\nold = 1\nk = other\n"


ESCAPED = ["$a", "$$x", "${a}", "\\$a", "\\\\$", "$", "a$", '"x"', "'$'", ' "', "a\\$\\$$b", " x\ny$"]


@pytest.mark.parametrize("value", ESCAPED)
def test_an_escaped_value_is_read_back_exactly(folder: Path, value: str) -> None:
    path = folder / "f"
    path.write_text("[s]\na = 1\n")

    assert config("--escape", "--set", path, "s", "k", value) == (0, "", "")

    assert read_option(path, "s", "k") == value


def test_a_value_names_another_option_unless_escaped(folder: Path) -> None:
    path = folder / "f"
    path.write_text("[DEFAULT]\nk = $nothing\n")
    config("--set", path, "DEFAULT", "k", "$$x")
    assert read_option(path, "DEFAULT", "k") == "$x"


# id: (section, name, value, a part of the reason)
REFUSED = {
    "empty line in a value": ("s", "k", "a\n\nb", "empty line"),
    "line end at a value's end": ("s", "k", "a\n", "empty line"),
    "blank line in a value": ("s", "k", "a\n \nb", "empty line"),
    "indented further line": ("s", "k", "a\n  b", "blanks"),
    "carriage return": ("s", "k", "a\rb", "carriage return"),
    "equal sign in a name": ("s", "a=b", "1", "'='"),
    "colon in a name": ("s", "a:b", "1", "':'"),
    "comment as a name": ("s", "#a", "1", "comment"),
    "semicolon as a name": ("s", ";a", "1", "comment"),
    "header as a name": ("s", "[a", "1", "section header"),
    "blank before a name": ("s", " a", "1", "blank"),
    "line end in a name": ("s", "a\nb", "1", "line break"),
    "empty name": ("s", "", "1", "needs a name"),
    "bracket in a section": ("s]x", "a", "1", "should not contain"),
    "line end in a section": ("s\nx", "a", "1", "line break"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_stored_is_refused_with_the_reason(folder: Path, case: str) -> None:
    section, name, value, reason = REFUSED[case]
    path = folder / "f"
    path.write_text("[s]\nk = old\n")

    result = config("--set", path, section, name, value)

    assert result.code == 1
    assert result.err.startswith(f"error: {path}: ")
    assert reason in result.err
    assert result.err.count("\n") == 1
    assert path.read_text() == "[s]\nk = old\n"


# id: (text before, arguments after the file, text after)
EDITS = {
    "the last of a repeated option": ("[s]\na=1\na=2\n", ["s", "a", "3"], "[s]\na=1\na=3\n"),
    "the last of a repeated section": (
        "[s]\na=1\n[t]\n[s]\na=2\n", ["s", "a", "3"], "[s]\na=1\n[t]\n[s]\na=3\n"),
    "nothing is left of a semicolon": ("[s]\na = p ;x\n", ["s", "a", "new"], "[s]\na = new\n"),
    "only the name with that case": ("[s]\nFoo=1\n", ["s", "foo", "2"], "[s]\nFoo=1\nfoo = 2\n"),
    "the separator stays": ("[s]\na  :\t1\n", ["s", "a", "2"], "[s]\na  :\t2\n"),
    "a continuation goes": ("[s]\na = 1\n  2\nb=3\n", ["s", "a", "x"], "[s]\na = x\nb=3\n"),
    "a continuation keeps its indentation": (
        "[s]\na = 1\n\t2\n", ["s", "a", "x\ny"], "[s]\na = x\n\ty\n"),
    "crlf": ("[s]\r\na=1\r\n", ["s", "b", "2\n3"], "[s]\r\na=1\r\nb = 2\r\n  3\r\n"),
    "after the example": (
        "[s]\n# Say hello. (string value)\n#a = <None>\n\n#b = 1\n", ["s", "a", "x"],
        "[s]\n# Say hello. (string value)\n#a = <None>\na = x\n\n#b = 1\n"),
    "after the last of several examples": (
        "[s]\n#a = 1\n#a = 2\n#b = 1\n", ["s", "a", "x"], "[s]\n#a = 1\n#a = 2\na = x\n#b = 1\n"),
    "not after the example of another section": (
        "[s]\n#b = 1\n\n[t]\n#a = 1\n", ["s", "a", "x"], "[s]\n#b = 1\na = x\n\n[t]\n#a = 1\n"),
    "not after an example of a longer name": (
        "[s]\n#aa = 1\n\n#b = 1\n", ["s", "a", "x"], "[s]\n#aa = 1\n\n#b = 1\na = x\n"),
    "before the comment of the next section": (
        "[s]\nb = 1\n\n# About t\n[t]\n", ["s", "a", "x"], "[s]\nb = 1\na = x\n\n# About t\n[t]\n"),
    "a last line without an end": ("[s]\nb=1", ["s", "a", "x"], "[s]\nb=1\na = x\n"),
    "a changed last line keeps its end": ("[s]\na=1", ["s", "a", "x"], "[s]\na=x"),
    "a new section": ("[s]\nb=1\n", ["t", "a", "x"], "[s]\nb=1\n\n[t]\na = x\n"),
    "a new section after a blank line": ("[s]\nb=1\n\n", ["t", "a", "x"], "[s]\nb=1\n\n[t]\na = x\n"),
    "DEFAULT goes first": (
        "# Licence\n\n# About s\n[s]\nb=1\n", ["DEFAULT", "a", "x"],
        "# Licence\n\n[DEFAULT]\na = x\n\n# About s\n[s]\nb=1\n"),
    "no section means DEFAULT": ("[s]\nb=1\n", ["", "a", "x"], "[DEFAULT]\na = x\n\n[s]\nb=1\n"),
    "an empty file": ("", ["s", "a", "x"], "[s]\na = x\n"),
    "only a section": ("[s]\n", ["t"], "[s]\n\n[t]\n"),
    "without a value": ("[s]\na = 1\n", ["s", "a"], "[s]\na =\n"),
}  # fmt: skip


@pytest.mark.parametrize("case", EDITS)
def test_set_changes_this_and_nothing_else(folder: Path, case: str) -> None:
    before, arguments, after = EDITS[case]
    path = folder / "f"
    path.write_bytes(before.encode())

    assert config("--set", path, *arguments) == (0, "", "")

    assert path.read_bytes().decode() == after
    assert read_by_oslo(path) is not None


def test_default_is_not_inherited(folder: Path) -> None:
    path = folder / "f"
    path.write_text("[DEFAULT]\nk=1\n[s]\na=1\n")
    assert config("--get", path, "s", "k").code == 1


def test_an_option_equal_to_the_default_is_listed(folder: Path) -> None:
    path = folder / "f"
    path.write_text("[DEFAULT]\nd=1\n[s]\nd=1\n")
    assert config("--get", path, "s").out == "d\n"
    assert config("--get", "--format=lines", path, "s").out == "[ s ] d = 1\n"


def test_a_near_name_is_hinted_at(folder: Path) -> None:
    path = folder / "f"
    path.write_text("[Database]\nmax-retries=1\n")
    assert "the file has the section 'Database'" in config("--get", path, "database").err
    assert "'max-retries'" in config("--get", path, "Database", "max_retries").err
