# SPDX-License-Identifier: MIT
"""Any bytes and any arguments: nothing is lost, and nothing ends in a traceback."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from openstack_utils.editor import NAMES, document
from openstack_utils.editor import load_dialect as dialect
from openstack_utils.editor.comments import comment, uncomment
from openstack_utils.editor.edits import Editor

from tests.support.config_tool import config

PIECES = [*"[]#;=:%'\" \t\r\n\\", "[s]", "\r\n", "a", "a = 1", "a=1 ;c", "  x", "#a = 2", "\\\n", "é"]
PIECES += ["\x0b", "\x0c", "\x85", "\u2028", "\0", "\ufeff"]
texts = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
contents = st.one_of(texts.map(str.encode), st.binary(max_size=40))
SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=400, deadline=None)
@given(contents, st.booleans())
@example(b"\xef\xbb\xbf", False)
def test_bytes_in_are_bytes_out(data: bytes, ignore_indent: bool) -> None:
    text, _ = document.decode(data)
    for name in NAMES:
        assert document.encode(dialect(name).parse(text, ignore_indent).text()) == data


OPERATIONS = ["--get", "--set", "--del", "--add", "--comment", "--uncomment", "--check", "--merge"]
FLAGS = ["--all", "--list", "--list-sep=", "--list-sep=:", "--json", "--format=sh", "--format=ini",
         "--format=lines", "--existing", "--verbose", "--escape", "--diff", "--dry-run", "--output=-",
         "--ini-options=space", "--ini-options=nospace", "--ini-options=sectionspace",
         "--ini-options=ignoreindent", "--inplace", "--value-file=-", "--", "--strict-exit"]  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=SUPPRESSED)
@given(
    contents,
    st.sampled_from(NAMES),
    st.sampled_from(OPERATIONS),
    st.lists(st.sampled_from(["s", "", "DEFAULT", "a", "1", "x\ny", "é", "a b"]), max_size=4),
    st.lists(st.sampled_from(FLAGS), max_size=3),
)
def test_no_call_ends_in_a_traceback(
    folder: Path, data: bytes, name: str, operation: str, words: list[str], flags: list[str]
) -> None:
    path = folder / "f"
    path.write_bytes(data)
    arguments = [f"--dialect={name}", operation, path, *words]

    result = config(*flags, *arguments) if "--" not in flags else config(*arguments, *flags)

    assert result.code in (0, 1, 2, 4)
    if result.code and operation != "--check":
        assert result.err
        assert path.read_bytes() == data
    assert [found.name for found in folder.iterdir()] == ["f"]


values = st.lists(st.sampled_from(["1", "x y", "'q'", "#h", " ;c", "$"]), max_size=3).map(" ".join)
indents = st.sampled_from([" ", "  ", "\t", "      "])


@settings(max_examples=200, deadline=None)
@given(
    values,
    st.lists(st.tuples(indents, values.filter(str.strip)), max_size=3),
    st.sampled_from(["\n", "\r\n"]),
)
def test_commenting_out_and_back_keeps_the_value(
    first: str, further: list[tuple[str, str]], end: str
) -> None:
    oslo = dialect("oslo")
    lines = ["[s]", f"a = {first}", *(indent + value for indent, value in further), "b = 1", ""]
    editor = Editor(oslo.parse(end.join(lines)), oslo)
    before = editor.get("s", "a")

    assert comment(editor, "s", "a")
    again = Editor(oslo.parse(editor.document.text()), oslo)
    assert again.document.problems == []
    assert again.values("s", "a") == []
    assert uncomment(again, "s", "a")

    assert Editor(oslo.parse(again.document.text()), oslo).get("s", "a") == before


@pytest.mark.parametrize("name", NAMES)
def test_a_large_file_is_read_and_written_as_it_is(folder: Path, name: str) -> None:
    path = folder / "f"
    text = "".join(f"[s{n}]\n# c\n#o = 1\na = {n}\n\n" for n in range(5000))
    path.write_text(text)
    assert config(f"--dialect={name}", "--set", path, "s2500", "a", "new").code == 0
    assert path.read_text() == text.replace("a = 2500\n", "a = new\n")
