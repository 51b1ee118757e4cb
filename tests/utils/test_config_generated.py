# SPDX-License-Identifier: MIT
"""Generated files and edits: what oslo.config reads afterwards is what the edit meant."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from openstack_utils.config import arguments
from openstack_utils.config.change import FileChange
from openstack_utils.config.command import ConfigConsole
from openstack_utils.editor import oslo
from openstack_utils.errors import UtilityError

from tests.support.oslo_oracle import Sections, read_by_oslo, read_option

NAMES = ["a", "b", "A", "a-b", "%a", "name with blanks"]
SECTIONS = ["s", "t", "DEFAULT", "S", "a b"]
ODD = ["\x0b", "\x0c", "\x1c", "\x85", "\xa0", "\u2028", "\ufeff", "\t", "\u00e9", "\U0001f511"]
PIECES = [*"ab1 ;#=:[]'\"$%\\", " ;x", " # y", "$$", "\\$", "${a}", "'v'", '"v "', *ODD]

texts = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
lines = st.lists(texts, max_size=3).map("\n".join)
values = st.one_of(texts, texts, lines, st.text(max_size=8))
names = st.one_of(st.sampled_from(NAMES), st.sampled_from(NAMES), texts)
sections = st.one_of(st.sampled_from(SECTIONS), st.sampled_from(SECTIONS), texts)

separators = st.sampled_from([" = ", "=", ": ", " : ", ":", " =", "= ", "  =\t"])
options = st.builds("{}{}{}".format, st.sampled_from(NAMES), separators, texts)
continued = st.builds(
    lambda option, blank, rest: option + "\n" + blank + rest,
    options,
    st.sampled_from([" ", "\t", "    "]),
    st.sampled_from(["two", "#two", "[two]", "k = v", "two ;x"]),
)
comments = st.one_of(
    st.builds("#{}{}{}".format, st.sampled_from(["", " "]), st.sampled_from(NAMES), separators),
    st.sampled_from(["# prose", "; a = 1", "#a = 1", "#", "#  indented", "#b = <None>"]),
)
headers = st.sampled_from([f"[{name}]" for name in SECTIONS] + ["[s]  "])
blanks = st.sampled_from(["", "", "  ", "\t", "\x0c"])
wild = st.one_of(texts, st.sampled_from(["flag", "  indented", "[s] # c", "[]", "= v", "[a", "\ufeff"]))
bodies = st.lists(st.one_of(options, options, continued, comments, headers, blanks), max_size=12)
ends = st.sampled_from(["\n", "\n", "\n", "\r\n", "\r"])


@st.composite
def files(draw: Any) -> bytes:
    """Mostly files that oslo.config reads; now and then anything."""
    body = draw(bodies)
    if draw(st.integers(0, 9)):
        body.insert(0, draw(headers))
    if not draw(st.integers(0, 9)):
        body.insert(draw(st.integers(0, len(body))), draw(wild))
    end = draw(ends)
    text = end.join("\n".join(body).split("\n"))
    if draw(st.booleans()):
        text += end
    return text.encode("utf-8", "surrogatepass") if "\ud800" in text else text.encode()


edits = st.one_of(
    st.tuples(st.just("set"), sections, names, values),
    st.tuples(st.just("escape"), sections, names, values),
    st.tuples(st.just("add"), sections, names, values),
    st.tuples(st.just("set-all"), sections, names, st.lists(values, max_size=3)),
    st.tuples(st.just("del"), sections, names, st.none()),
    st.tuples(st.just("del-value"), sections, names, values),
    st.tuples(st.just("del-section"), sections, st.none(), st.none()),
    st.tuples(st.just("comment"), sections, names, st.none()),
)
CASES = {
    "set": ["--set", "f", "{s}", "{n}", "--", "{v}"],
    "escape": ["--escape", "--set", "f", "{s}", "{n}", "--", "{v}"],
    "add": ["--add", "f", "{s}", "{n}", "--", "{v}"],
    "set-all": ["--set", "--all", "f", "{s}", "{n}", "--"],
    "del": ["--del", "f", "{s}", "{n}"],
    "del-value": ["--del", "f", "{s}", "{n}", "--", "{v}"],
    "del-section": ["--del", "f", "{s}"],
    "comment": ["--comment", "f", "{s}", "{n}"],
}


def arguments_of(kind: str, section: str, name: "str | None", value: Any) -> list[str]:
    words = {"{s}": section, "{n}": name, "{v}": value}
    argv = [words.get(word, word) for word in CASES[kind] if word != "--"]
    last = [*value] if kind == "set-all" else []
    # Everything is positional here, whatever it begins with.
    first = argv.index("f")
    return [*argv[:first], "--", *argv[first:], *last]


def storable_name(name: str) -> bool:
    if not name.strip() or name != name.strip() or any(c in name for c in "=:\n\r"):
        return False
    return name[0] not in "#;["


def storable_section(name: str) -> bool:
    return not any(c in name for c in "[]\n\r")


def storable_value(value: str) -> bool:
    further = value.split("\n")[1:]
    return "\r" not in value and all(line and line == line.strip() for line in further)


def meant_by(value: str) -> str:
    """What a raw value means to oslo.config: quotes at both ends go, blanks at the ends stay."""
    first, *further = value.split("\n")
    lone = len(first) == 1
    if first == first.strip() and not lone and first[:1] in ("'", '"') and first[0] == first[-1]:
        first = first[1:-1]
    return "\n".join([first, *further])


def expected_after(before: Sections, kind: str, section: str, name: Any, value: Any) -> Sections:
    after = {s: {k: list(v) for k, v in found.items()} for s, found in before.items()}
    section = section or "DEFAULT"
    if kind == "del-section":
        after.pop(section, None)
        return after
    found = after.get(section, {}).get(name, [])
    if kind == "set":
        new = [*found[:-1], meant_by(value)]
    elif kind == "escape":
        new = [*found[:-1], value]
    elif kind == "add":
        new = [*found, meant_by(value)]
    elif kind == "set-all":
        new = [meant_by(item) for item in value]
    elif kind == "del-value":
        new = [item for item in found if item != value]
    else:
        new = []
    if new:
        after.setdefault(section, {})[name] = new
    else:
        after.get(section, {}).pop(name, None)
    return after


def unescaped(read: Sections, section: str, name: str) -> None:
    """Undo `$$` and `\\$` in the last value of an option, as oslo.config's template does."""
    values = read[section][name]
    values[-1] = values[-1].replace("\\$", "$$").replace("$$", "$")


def check(folder: Path, data: bytes, kind: str, section: str, name: Any, value: Any) -> None:
    path = folder / "f"
    path.write_bytes(data)
    before = read_by_oslo(path)
    request = arguments.parse(arguments_of(kind, section, name, value))
    try:
        after = FileChange(request, oslo, ConfigConsole()).edit("f", data)
    except UtilityError as refusal:
        check_refusal(refusal, before, kind, section, name, value)
        return
    path.write_bytes(after)
    read = read_by_oslo(path)
    if after == data and read is None:
        return
    assert read is not None, "the service can no longer read the file"
    if before is None:
        return
    meant = expected_after(before, kind, section, name, value)
    if kind == "escape":
        unescaped(read, section or "DEFAULT", name)
    if kind == "set-all" and not value:
        meant.setdefault(section or "DEFAULT", {})
        read.setdefault(section or "DEFAULT", {})
    assert read == meant
    check_untouched(data, after, section, name, kind)


def check_refusal(refusal: UtilityError, before: Any, kind: str, section: str, name: Any, value: Any) -> None:
    """A refusal needs a reason: a file that is unreadable anyway, or something not storable."""
    given_values = value if isinstance(value, list) else [value or ""]
    unstorable = not storable_section(section) or not all(map(storable_value, given_values))
    unstorable = unstorable or (name is not None and not storable_name(name))
    absent = kind == "comment" and "not found" in refusal.message
    assert before is None or unstorable or absent, refusal.message
    if absent and before is not None:
        assert name not in before.get(section or "DEFAULT", {})


def check_untouched(data: bytes, after: bytes, section: str, name: Any, kind: str) -> None:
    """Every line that is not the option's own is still there, in the same order."""
    if kind == "del-section":
        return
    parsed = oslo.parse(data.decode())
    kept: list[str] = []
    for part in parsed.sections:
        mine = part.name == (section or "DEFAULT")
        kept.append(part.header)
        kept += [i.text for i in part.items if not (mine and i.name == name)]
    rest = after.decode()
    place = 0
    for text in filter(None, kept):
        found = rest.find(text.rstrip("\r\n"), place)
        assert found >= 0, f"{text!r} is lost"
        place = found + len(text.rstrip("\r\n"))


SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=300, deadline=None, suppress_health_check=SUPPRESSED)
@given(files(), edits)
@example(b"[s]\na = p ;x\n", ("set", "s", "a", "new"))
@example(b"", ("set", "s", "\ufeff", ""))
@example(b"[s]\n", ("set", "s", "", ""))
def test_oslo_reads_what_the_edit_meant(folder: Path, data: bytes, edit: Any) -> None:
    check(folder, data, *edit)


@pytest.mark.slow
@settings(max_examples=20_000, deadline=None, suppress_health_check=SUPPRESSED)
@given(files(), edits)
def test_oslo_reads_what_the_edit_meant_at_length(folder: Path, data: bytes, edit: Any) -> None:
    check(folder, data, *edit)


@settings(max_examples=150, deadline=None, suppress_health_check=SUPPRESSED)
@given(values)
def test_an_escaped_value_reaches_the_service_exactly(folder: Path, value: str) -> None:
    if not storable_value(value):
        return
    data = after_set(value)
    (folder / "f").write_bytes(data)
    assert read_option(folder / "f", "s", "a") == value


def after_set(value: str) -> bytes:
    request = arguments.parse(["--escape", "--set", "--", "f", "s", "a", value])
    return FileChange(request, oslo, ConfigConsole()).edit("f", b"")


plain = st.tuples(
    st.sampled_from(["set", "add", "set-all", "del", "del-value"]),
    st.sampled_from(SECTIONS),
    st.sampled_from(NAMES),
    texts.filter(lambda value: not value.startswith("--")),
)


def check_sequence(folder: Path, data: bytes, sequence: list[Any]) -> None:
    """Several edits in one call mean what they mean one after another."""
    path = folder / "f"
    path.write_bytes(data)
    meant = read_by_oslo(path)
    argv: list[str] = []
    for kind, section, name, value in sequence:
        argv += [word for word in CASES[kind] if word not in ("--", "{s}", "{n}", "{v}")]
        argv += [section, name] if kind == "del" else [section, name, value]
        if meant is not None:
            listed = [value] if kind == "set-all" else value
            meant = expected_after(meant, kind, section, name, listed)
    if meant is not None and not all(storable_value(edit[3]) for edit in sequence):
        return
    try:
        after = FileChange(arguments.parse(argv), oslo, ConfigConsole()).edit("f", data)
    except UtilityError:
        if meant is not None:
            raise
        return
    path.write_bytes(after)
    read = read_by_oslo(path)
    if meant is not None:
        assert read is not None
        # A section that was made and emptied again is left with its header.
        assert {s: found for s, found in read.items() if found} == {s: v for s, v in meant.items() if v}


@settings(max_examples=150, deadline=None, suppress_health_check=SUPPRESSED)
@given(files(), st.lists(plain, min_size=2, max_size=5))
def test_edits_in_one_call_follow_each_other(folder: Path, data: bytes, sequence: list[Any]) -> None:
    check_sequence(folder, data, sequence)


@pytest.mark.slow
@settings(max_examples=5_000, deadline=None, suppress_health_check=SUPPRESSED)
@given(files(), st.lists(plain, min_size=2, max_size=5))
def test_edits_in_one_call_follow_each_other_at_length(
    folder: Path, data: bytes, sequence: list[Any]
) -> None:
    check_sequence(folder, data, sequence)


def check_merge(folder: Path, data: bytes, source: bytes) -> None:
    """--from FILE: what oslo.config reads is the old file, with everything FILE says on top."""
    path, settings_path = folder / "f", folder / "settings"
    path.write_bytes(data)
    settings_path.write_bytes(source)
    before, given_settings = read_by_oslo(path), read_by_oslo(settings_path)
    if before is None or given_settings is None:
        return
    request = arguments.parse([f"--from={settings_path}", "f"])
    change = FileChange(request, oslo, ConfigConsole())
    if any(name[0] in "#;[" for options in given_settings.values() for name in options):
        # Read where \v or such comes before it, and not to be written by a plain line.
        with pytest.raises(UtilityError, match=r":\d+: the name .* begins with .*; nothing is changed"):
            change.read_inputs()
        return
    change.read_inputs()
    path.write_bytes(change.edit("f", data))
    for section, options in given_settings.items():
        target = before.setdefault(section, {})
        for name, found in options.items():
            target[name] = found if len(found) > 1 else [*target.get(name, [])[:-1], *found]
    read = read_by_oslo(path)
    assert read is not None
    # A [DEFAULT] with nothing in it says nothing and need not be made.
    read.setdefault("DEFAULT", {})
    before.setdefault("DEFAULT", {})
    assert read == before


@settings(max_examples=150, deadline=None, suppress_health_check=SUPPRESSED)
@given(files(), files())
@example(b"", b"[DEFAULT]")
@example(b"", b"[s]\n\x0b ;x=")
def test_a_file_of_settings_is_applied_as_it_reads(folder: Path, data: bytes, source: bytes) -> None:
    check_merge(folder, data, source)


@pytest.mark.slow
@settings(max_examples=5_000, deadline=None, suppress_health_check=SUPPRESSED)
@given(files(), files())
def test_a_file_of_settings_is_applied_as_it_reads_at_length(
    folder: Path, data: bytes, source: bytes
) -> None:
    check_merge(folder, data, source)
