# SPDX-License-Identifier: MIT
"""The operations and options beyond get, set and del, in the default dialect."""

import json
from pathlib import Path

import pytest

from tests.support.config_tool import config
from tests.support.oslo_oracle import read_by_oslo, read_option

PROVIDERS = """\
[service_providers]
service_provider = LOADBALANCER:Haproxy:x
service_provider = VPN:openswan:y

[other]
k = 1
"""
FOUND = ["LOADBALANCER:Haproxy:x", "VPN:openswan:y"]


@pytest.fixture
def providers(folder: Path) -> Path:
    path = folder / "neutron.conf"
    path.write_text(PROVIDERS)
    return path


def values(path: Path) -> "str | list[str]":
    return read_option(path, "service_providers", "service_provider", multi=True)


ONE = ("service_providers", "service_provider")


def test_get_all_prints_every_value(providers: Path) -> None:
    assert config("--get", "--all", providers, *ONE).out.splitlines() == FOUND
    assert config("--get", providers, *ONE).out == FOUND[-1] + "\n"


def test_add_puts_one_more_value_after_the_last(providers: Path) -> None:
    assert config("--add", providers, *ONE, "FW:a:b") == (0, "", "")
    assert values(providers) == [*FOUND, "FW:a:b"]
    assert providers.read_text() == PROVIDERS.replace(":y\n", ":y\nservice_provider = FW:a:b\n")


def test_add_makes_the_option_and_the_section(folder: Path) -> None:
    path = folder / "f"
    path.write_text("[s]\nk=1\n")
    config("--add", path, "t", "m", "1", "--add", path, "t", "m", "2")
    assert path.read_text() == "[s]\nk=1\n\n[t]\nm = 1\nm = 2\n"


@pytest.mark.parametrize(
    "wanted", [["1"], ["1", "2"], ["1", "2", "3"], [], FOUND], ids=["1", "2", "3", "0", "same"]
)
def test_set_all_makes_these_all_the_values(providers: Path, wanted: list[str]) -> None:
    assert config("--set", "--all", providers, *ONE, *wanted).code == 0
    if wanted:
        assert values(providers) == wanted
    else:
        assert config("--get", providers, *ONE).code == 1


def test_set_changes_the_last_value_only(providers: Path) -> None:
    config("--set", providers, *ONE, "new")
    assert values(providers) == [FOUND[0], "new"]


def test_del_with_a_value_removes_only_that_one(providers: Path) -> None:
    assert config("--del", providers, *ONE, FOUND[0]).code == 0
    assert values(providers) == FOUND[1:]
    before = providers.read_bytes()
    assert config("--del", providers, *ONE, "not there").code == 0
    assert config("--del", "--existing", providers, *ONE, "not there").code == 1
    assert providers.read_bytes() == before


def test_del_removes_all_values(providers: Path) -> None:
    config("--del", providers, *ONE)
    assert providers.read_text() == "[service_providers]\n\n[other]\nk = 1\n"


COMMENTED = {
    "one": ("[s]\na = 1\nb = 2\n", "[s]\n#a = 1\nb = 2\n"),
    "all values": ("[s]\na = 1\na = 2\n", "[s]\n#a = 1\n#a = 2\n"),
    "continued": ("[s]\na = 1\n  2\n\t3\nb=1\n", "[s]\n#a = 1\n#  2\n#\t3\nb=1\n"),
    "spelling": ("[s]\na  :1\n", "[s]\n#a  :1\n"),
}


@pytest.mark.parametrize("case", COMMENTED)
def test_comment_and_uncomment(folder: Path, case: str) -> None:
    before, after = COMMENTED[case]
    path = folder / "f"
    path.write_text(before)

    assert config("--comment", path, "s", "a") == (0, "", "")
    assert path.read_text() == after
    assert config("--comment", path, "s", "a") == (0, "", "")
    assert path.read_text() == after

    if case != "all values":
        assert config("--uncomment", path, "s", "a") == (0, "", "")
        assert path.read_text() == before


def test_a_continuation_indented_by_one_survives_comment_and_uncomment(folder: Path) -> None:
    path = folder / "f"
    path.write_text("[s]\na = 1\n 2\n")
    config("--comment", path, "s", "a", "--uncomment", path, "s", "a")
    assert config("--get", path, "s", "a").out == "1\n2\n"


def test_comment_and_uncomment_one_value(providers: Path) -> None:
    config("--comment", providers, *ONE, FOUND[0])
    assert values(providers) == FOUND[1:]
    config("--uncomment", providers, *ONE, FOUND[0])
    assert values(providers) == FOUND
    assert config("--uncomment", providers, *ONE, "x").code == 1


def test_uncomment_takes_examples_with_a_blank(folder: Path) -> None:
    path = folder / "f"
    path.write_text("[s]\n# a = 1\n# prose: not an option\n")
    assert config("--uncomment", path, "s", "a").code == 0
    assert path.read_text() == "[s]\na = 1\n# prose: not an option\n"


def test_uncomment_refuses_a_placeholder_and_what_is_not_there(folder: Path) -> None:
    path = folder / "f"
    path.write_text("[s]\n#a = <None>\n")
    refused = config("--uncomment", path, "s", "a")
    assert (refused.code, path.read_text()) == (1, "[s]\n#a = <None>\n")
    assert "has no value" in refused.err
    assert config("--uncomment", path, "s", "b").code == 1
    assert config("--comment", path, "s", "b").code == 1
    assert config("--uncomment", path, "t", "b").code == 1


def test_uncomment_leaves_an_active_option_alone(folder: Path) -> None:
    path = folder / "f"
    path.write_text("[s]\n#a = 1\na = 2\n")
    assert config("--uncomment", path, "s", "a").code == 0
    assert path.read_text() == "[s]\n#a = 1\na = 2\n"


def test_from_applies_a_whole_file(folder: Path) -> None:
    settings = folder / "settings.conf"
    settings.write_text('[DEFAULT]\ndebug = true\n[s]\na = "x "\nm = 1\nm = 2\n[empty]\n')
    path = folder / "f"
    path.write_text("[DEFAULT]\n#debug = false\n\n[s]\na = old\nkept = 1\n")

    assert config("--from", settings, path) == (0, "", "")

    assert path.read_text() == (
        '[DEFAULT]\n#debug = false\ndebug = true\n\n[s]\na = "x "\nkept = 1\nm = 1\nm = 2\n\n[empty]\n'
    )
    assert config("--merge", f"--from={settings}", path, "one").code == 0
    assert config("--get", "--all", path, "one", "m").out == "1\n2\n"


@pytest.mark.parametrize("value", ["\"'y'\"", "'\"", "$other", '" x"', "'a','b'", "''", "one\n  two"])
def test_from_keeps_what_a_value_means(folder: Path, value: str) -> None:
    settings, path = folder / "settings", folder / "f"
    settings.write_text(f"[s]\na = {value}\nm = 1\nm = {value}\n")
    path.write_text("[s]\nb = 1\n")
    assert config("--from", settings, path).code == 0
    wanted, found = read_by_oslo(settings), read_by_oslo(path)
    assert wanted is not None
    assert found == {"s": {"b": ["1"], **wanted["s"]}}


def test_a_list_keeps_its_references_and_quotes(folder: Path) -> None:
    path = folder / "f"
    path.write_text("[s]\na = \"'x', $y\"\n")
    assert config("--set", "--list", "--escape", path, "s", "a", "$z").code == 0
    assert read_by_oslo(path) == {"s": {"a": ["'x', $y, $$z"]}}
    assert config("--del", "--list", path, "s", "a", "$y").code == 0
    assert config("--del", "--list", path, "s", "a", "$$z").code == 0
    assert read_by_oslo(path) == {"s": {"a": ["'x'"]}}


def test_merge_reads_stdin(folder: Path) -> None:
    path = folder / "f"
    path.write_text("[s]\na = 1\n")
    assert config("--merge", path, stdin="[s]\na = 2\n[t]\nb = 3\n").code == 0
    assert path.read_text() == "[s]\na = 2\n\n[t]\nb = 3\n"
    assert config("--merge", "--existing", path, stdin="[nope]\na = 2\n").code == 1
    assert config("--merge", "--existing", path, stdin="[s]\na = 4\nnew = 2\n").code == 0
    assert path.read_text() == "[s]\na = 4\n\n[t]\nb = 3\n"
    config("--set", path, "s", "a", "2")
    assert config("--merge", "--list", path, stdin="[s]\na = 5\n").code == 0
    assert config("--get", path, "s", "a").out == "2, 5\n"


UNREADABLE = {
    "bracket": ("[database\nconnection = x\n", 1),
    "no equals sign": ("[database]\nconnection\n", 2),
    "no name": ("[]\na = 1\n", 1),
    "text after the header": ("[database] # x\na = 1\n", 1),
    "conflict": ("[database]\n<<<<<<< HEAD\na = 1\n", 2),
    "JSON": ('{\n"database": {"connection": "x"}\n}\n', 1),
    "YAML": ("database:\n  connection: x\n", 1),
    "indented": ("  [database]\na = 1\n", 1),
    "no header": ("a = 1\n", 1),
    "name like a comment": ("[database]\na = 1\n  2\r# c\r\n\x0b;x = 1\n", 5),
    "latin-1": (b"[database]\n# caf\xe9\na = 1\n", 2),
}


@pytest.mark.parametrize(("source", "line"), UNREADABLE.values(), ids=UNREADABLE)
def test_settings_that_the_service_could_not_read_are_refused_as_a_whole(
    folder: Path, source: "str | bytes", line: int
) -> None:
    path, settings = folder / "f", folder / "settings"
    path.write_text("[database]\nconnection = old\n")
    settings.write_bytes(source if isinstance(source, bytes) else source.encode())

    from_file = config("--strict-exit", "--from", settings, path)
    from_stdin = config("--strict-exit", "--merge", path, stdin=source)

    assert (from_file.code, from_stdin.code) == (2, 2)
    assert from_file.err.startswith(f"error: {settings}:{line}: ")
    assert from_stdin.err.startswith(f"error: stdin:{line}: ")
    assert path.read_text() == "[database]\nconnection = old\n"


def test_a_byte_order_mark_of_the_settings_is_read_over(folder: Path) -> None:
    path = folder / "f"
    path.write_text("[database]\nconnection = old\n")

    assert config("--merge", path, stdin="\ufeff[database]\nconnection = new\n") == (0, "", "")

    assert path.read_text() == "[database]\nconnection = new\n"


def test_settings_for_one_section_need_no_header(folder: Path) -> None:
    path = folder / "f"
    path.write_text("[database]\nconnection = old\n")

    assert config("--merge", path, "database", stdin="connection = new\n") == (0, "", "")

    assert path.read_text() == "[database]\nconnection = new\n"


@pytest.mark.parametrize("given", ["", "\n"])
def test_an_empty_value_of_a_file_has_to_be_meant(folder: Path, given: str) -> None:
    path = folder / "f"
    path.write_text("[s]\na = 1\n")

    refused = config("--set", "--value-file", "-", path, "s", "a", stdin=given)
    text = path.read_text()
    meant = config("--set", "--empty", "--value-file", "-", path, "s", "a", stdin=given)

    assert (refused.code, refused.err.splitlines()[0]) == (1, "error: stdin: the value is empty")
    assert text == "[s]\na = 1\n"
    assert (meant.code, path.read_text()) == (0, "[s]\na =\n")


def test_a_new_option_goes_after_all_lines_of_its_example(folder: Path) -> None:
    path = folder / "f"
    path.write_text("[s]\n# usage =\n#     /var\n#     /home\n\n# Of another.\n# b = 1\n")

    assert config("--set", path, "s", "usage", "/srv").code == 0

    assert path.read_text() == (
        "[s]\n# usage =\n#     /var\n#     /home\nusage = /srv\n\n# Of another.\n# b = 1\n"
    )


def test_json_is_utf8_whatever_the_file_holds(folder: Path) -> None:
    path = folder / "f"
    path.write_bytes(b"[s]\na = caf\xe9\nb = \xc3\xa9\n")

    shown = config("--get", "--json", path, "s")

    assert json.loads(shown.out.encode("utf-8", "strict")) == {"a": "caf\udce9", "b": "é"}


@pytest.mark.parametrize("given", ["secret", "secret\n", "secret\r\n", "two\nlines\n", " a \n"])
def test_a_value_comes_from_stdin_or_a_file(folder: Path, given: str) -> None:
    path, secret = folder / "f", folder / "secret"
    path.write_text("[s]\n")
    secret.write_text(given, newline="")
    wanted = given.rstrip("\r\n")

    assert config("--set", path, "s", "a", "--value-file", "-", stdin=given) == (0, "", "")
    assert config("--set", f"--value-file={secret}", path, "s", "b", "--verbose").err == (
        f"changed: --set {path} s b\n"
    )

    assert read_option(path, "s", "a") == wanted
    assert read_option(path, "s", "b") == wanted


def test_each_operation_has_its_own_value_file(folder: Path) -> None:
    path, one, two = folder / "f", folder / "1", folder / "2"
    one.write_text("first")
    two.write_text("second")
    path.write_text("")
    config("--set", path, "s", "a", "--value-file", one, "--set", path, "s", "b", "--value-file", two)
    assert path.read_text() == "[s]\na = first\nb = second\n"


def test_json(providers: Path) -> None:
    def read(*arguments: str) -> object:
        return json.loads(config("--get", "--json", providers, *arguments).out)

    assert read("other", "k") == "1"
    assert read("service_providers") == {"service_provider": FOUND[1]}
    assert read("--all")["service_providers"] == {"service_provider": FOUND}  # type: ignore[index]
    assert read(*ONE, "--all") == FOUND
    both = config("--get", "--json", providers, "other", "k", "--get", providers, "other")
    assert [json.loads(line) for line in both.out.splitlines()] == ["1", {"k": "1"}]


def test_formats(providers: Path) -> None:
    config("--set", providers, "other", "ml", "a\nb")
    assert config("--get", "--format=lines", providers, "other").out == (
        "[ other ] k = 1\n[ other ] ml = a\\nb\n"
    )
    assert config("--get", "--format=sh", providers, "other").out == "k=1\nml='a\nb'\n"
    assert config("--get", "--format=ini", providers, "other").out == "[other]\nk = 1\nml = a\n b\n"
    every = config("--get", "--format=lines", "--all", providers, "service_providers").out
    assert every.count("service_provider = ") == 2


def test_diff_and_dry_run(providers: Path) -> None:
    shown = config("--set", "--diff", "--dry-run", providers, "other", "k", "2")
    assert shown.code == 0
    assert "-k = 1\n+k = 2\n" in shown.out
    assert shown.err == f"note: would change: {providers}\n"
    assert providers.read_text() == PROVIDERS
    assert config("--set", "--diff", providers, "other", "k", "2").out == shown.out
    assert "k = 2" in providers.read_text()
    assert config("--set", "--diff", "--dry-run", providers, "other", "k", "2").out == ""


def test_only_what_something_is_set_in_is_created(folder: Path) -> None:
    path, missing = folder / "f", folder / "missing"
    path.write_text("[s]\na = 1\n")
    for operation in (["--del", missing, "s", "a"], ["--comment", missing, "s", "a"]):
        refused = config("--set", path, "s", "a", "2", *operation)
        assert (refused.code, refused.err) == (1, f"error: {missing}: no such file\n")
    assert config("--merge", missing).code == 0
    assert path.read_text() == "[s]\na = 1\n"
    assert not missing.exists()
    assert config("--add", missing, "s", "a", "1").err == f"note: created {missing} (mode 0640)\n"


def test_dry_run_creates_nothing(folder: Path) -> None:
    path = folder / "new"
    shown = config("--set", "--diff", "--dry-run", path, "s", "a", "1")
    assert shown.out.startswith("--- /dev/null\n")
    assert "would create" in shown.err
    assert not path.exists()


@pytest.mark.parametrize(("option", "suffix"), [("--backup", ".bak"), ("--backup=~", "~")])
def test_backup_keeps_the_old_text(providers: Path, option: str, suffix: str) -> None:
    providers.chmod(0o600)
    config("--set", option, providers, "other", "k", "1")
    kept = Path(f"{providers}{suffix}")
    assert not kept.exists()
    config("--set", option, providers, "other", "k", "2")
    assert kept.read_text() == PROVIDERS
    assert kept.stat().st_mode & 0o777 == 0o600


def test_several_files_change_together(folder: Path) -> None:
    one, two = folder / "1", folder / "2"
    one.write_text("[s]\na = 1\n")
    two.write_text("[s]\na = 1\n")
    assert config("--set", one, "s", "a", "2", "--set", two, "s", "a", "2").code == 0
    assert one.read_text() == two.read_text() == "[s]\na = 2\n"
    refused = config("--set", one, "s", "a", "3", "--set", two, "s", "a:", "3")
    assert refused.code == 1
    assert one.read_text() == two.read_text() == "[s]\na = 2\n"


def test_the_same_file_under_two_names_is_one_file(folder: Path) -> None:
    path, link = folder / "f", folder / "link"
    path.write_text("[s]\na = 1\nb = 1\n")
    link.symlink_to("f")
    assert config("--set", path, "s", "a", "2", "--set", link, "s", "b", "2").code == 0
    assert path.read_text() == "[s]\na = 2\nb = 2\n"
    assert link.is_symlink()


def test_stdin_is_edited_to_stdout() -> None:
    assert config("--set", "-", "s", "a", "2", stdin="[s]\na = 1\n") == (0, "[s]\na = 2\n", "")
    assert config("--get", "-", "s", "a", stdin="[s]\na = 1\n") == (0, "1\n", "")
    assert config("--del", "-", "s", "a", stdin="[s]\na = 1\n") == (0, "[s]\n", "")


def test_output_goes_to_another_file(providers: Path, folder: Path) -> None:
    other = folder / "out.conf"
    assert config("--set", f"--output={other}", providers, "other", "k", "2").code == 0
    assert providers.read_text() == PROVIDERS
    assert other.read_text() == PROVIDERS.replace("k = 1", "k = 2")
    printed = config("--set", "--output=-", providers, "other", "k", "2").out
    assert printed == other.read_text()


def test_verbose_says_what_changed(providers: Path) -> None:
    done = config("--verbose", "--set", providers, "other", "k", "1", "--set", providers, "other", "n", "a b")
    assert done.err == (f"unchanged: --set {providers} other k 1\nchanged: --set {providers} other n 'a b'\n")


EXISTING = {
    "file": ("missing", "s", "a", False),
    "section": ("f", "nope", "a", False),
    "param": ("f", "s", "nope", False),
    "there": ("f", "s", "a", True),
}


@pytest.mark.parametrize("case", EXISTING)
def test_existing_refuses_what_is_not_there(folder: Path, case: str) -> None:
    name, section, option, fine = EXISTING[case]
    (folder / "f").write_text("[s]\na = 1\n")
    for flag in ("--existing", "--existing=param"):
        result = config("--set", flag, folder / name, section, option, "2")
        assert (result.code == 0) == fine
    assert sorted(p.name for p in folder.iterdir()) == ["f"]


def test_lists(folder: Path) -> None:
    path = folder / "f"
    path.write_text("[s]\nl = a,b\nw = x y\nn =\n  p\n  q\n")
    config("--set", "--list", path, "s", "l", "c", "--set", path, "s", "new", "1")
    config("--set", "--list", "--list-sep=", path, "s", "w", "z")
    config("--set", "--list", "--list-sep=", path, "s", "n", "r")
    assert path.read_text() == "[s]\nl = a,b,c\nw = x y z\nn =\n  p\n  q\n  r\nnew = 1\n"
    config("--del", "--list", path, "s", "l", "b", "--del", path, "s", "l", "none")
    assert config("--get", path, "s", "l").out == "a,c\n"


def test_ini_options(folder: Path) -> None:
    path = folder / "f"
    path.write_text("[s]\na = 1\n[t]\nb=2\n\n\n")
    config("--set", "--ini-options=nospace,sectionspace", path, "s", "c", "3")
    assert path.read_text() == "[s]\na=1\nc=3\n\n[t]\nb=2\n"
    path.write_text("  [s]\n  a = 1\n")
    assert config("--set", "--ini-options=ignoreindent", path, "s", "b", "2").code == 0
    assert path.read_text() == "  [s]\n  a = 1\n  b = 2\n"


def test_one_of_several_sections_of_a_name_is_reached_by_its_number(folder: Path) -> None:
    path = folder / "f"
    path.write_text("[s]\na = 1\n[t]\n[s]\na = 2\nb = 3\n")

    assert config("--get", "--section-index=1", path, "s", "a").out == "1\n"
    assert config("--get", "--section-index", "2", path, "s").out == "a\nb\n"
    assert config("--set", "--section-index=1", path, "s", "b", "4").code == 0
    assert config("--del", "--section-index=2", path, "s", "a").code == 0
    assert path.read_text() == "[s]\na = 1\nb = 4\n[t]\n[s]\nb = 3\n"
    for words in (["--get"], ["--set", "--section-index=3"]):
        shown = config(*words, "--section-index=3", path, "s", "a")
        assert (shown.code, shown.err) == (1, f"error: {path}: section not found: s, number 3 of 2\n")
    assert path.read_text() == "[s]\na = 1\nb = 4\n[t]\n[s]\nb = 3\n"


def test_an_indented_file_is_reported_for_the_option_that_reads_it(folder: Path) -> None:
    path = folder / "f"
    path.write_text("  [s]\n  a = 1\n")

    refused = config("--set", path, "s", "a", "2")
    done = config("--set", "--ini-options=ignoreindent", path, "s", "a", "2")

    assert refused.err.splitlines()[-1].startswith("hint: --ini-options=ignoreindent reads indented files")
    assert (done.code, path.read_text()) == (0, "  [s]\n  a = 2\n")


def test_repeated_sections_and_options_are_named_without_a_schema(folder: Path) -> None:
    path = folder / "f"
    path.write_text("[s]\na = 1\n[t]\n[s]\na = 2\n")

    shown = config("--check", path)

    assert (shown.code, shown.out) == (
        0,
        f"{path}:4: warning: the section [s] is also on line 1\n"
        f"{path}:5: warning: a is also on line 2; unless it may repeat, the last one counts\n",
    )
