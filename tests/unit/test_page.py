# SPDX-License-Identifier: MIT
"""The page of a build: what it shows, whatever names are in it, and what is read back from it; traces."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from builder.errors import BuildError
from builder.page import BuildPage, Changes, Check, add_checks, compare, folders, read_files, write_page
from builder.timeline import Span, write_trace

HOSTILE = "</script><img src=x onerror=alert(1)>\udcff"
PAGE = BuildPage(
    name="jeos",
    target="fixture-12",
    image="jeos.qcow2",
    sha256="ab" * 32,
    size=170_000_000,
    disk=5 << 30,
    stages=(("solve", 0.2), ("install", 2.5)),
    packages={"bash-5.2-1.x86_64": 6_000_000, HOSTILE: 5},
    files={"/usr/bin/bash": 1_400_000, f"/etc/{HOSTILE}": 20},
    warnings=(f"%post said {HOSTILE}",),
    changes=Changes(added={f"/opt/{HOSTILE}": 7_000_000}, removed={}, resized={"/etc/profile": (600, 605)}),
)


class Reader(HTMLParser):
    """Reads the text that people see, and the names of all elements."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.elements: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.add(tag)

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data if self.lasttag not in ("script", "style") else ""


def read(path: Path) -> Reader:
    """Read a page as a browser would."""
    reader = Reader()
    reader.feed(path.read_text())
    return reader


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """The page on the disk."""
    path = tmp_path / "jeos.report.html"
    write_page(path, PAGE)
    return path


def test_the_page_shows_stages_packages_folders_warnings_and_changes(page: Path) -> None:
    seen = read(page)

    for text in ("install 2.5 s", "6.0 MB", "bash-5.2-1.x86_64", "/usr/bin", "+7.0 MB", "grown", "Not yet"):
        assert text in seen.text, text


def test_many_files_of_one_folder_do_not_hide_what_else_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "jeos.report.html"
    added = {f"/opt/app/module{number}": 2000 + number for number in range(60)}
    changes = Changes(added=added, removed={"/etc/gone": 7}, resized={})
    write_page(path, replace(PAGE, changes=changes))

    seen = read(path).text

    assert "/opt/app/ (60 files)" in seen
    assert "/opt/app/module1" not in seen.partition("Verified")[0]
    assert "/etc/gone" in seen


def test_what_has_failed_is_seen_and_what_has_not_is_folded(page: Path) -> None:
    check = Check(check="machine-id", state="fail", reason="it is not empty")
    assert add_checks(page, PAGE.sha256, (replace(check, check="cloud-user", state="pass"), check))

    open_part, _, folded = page.read_text().partition("<details>")

    assert "it is not empty" in open_part
    assert "cloud-user" not in open_part
    assert "cloud-user" in folded.partition("</details>")[0]


def test_names_are_text_and_nothing_is_loaded(page: Path) -> None:
    seen = read(page)

    assert not seen.elements & {"img", "link", "iframe"}
    assert seen.text.count("<img src=x onerror=alert(1)>") == 3
    assert "default-src 'none'" in page.read_text()


def test_files_come_back_and_are_compared(page: Path) -> None:
    assert read_files(page) == PAGE.files
    now = {"/usr/bin/bash": 1_500_000, "/etc/new": 1}
    assert compare(PAGE.files, now) == Changes(
        added={"/etc/new": 1},
        removed={f"/etc/{HOSTILE}": 20},
        resized={"/usr/bin/bash": (1_400_000, 1_500_000)},
    )


def test_checks_are_added_to_the_page_of_that_image_only(page: Path) -> None:
    check = Check(check="machine-id", state="fail", reason="it is not empty")

    assert not add_checks(page, "cd" * 32, (check,))
    assert "machine-id" not in read(page).text
    assert add_checks(page, PAGE.sha256, (check,))
    assert add_checks(page, PAGE.sha256, (check, replace(check, state="pass")))

    seen = read(page).text
    assert "1 fail, 1 pass" in seen
    assert "it is not empty" in seen
    assert "+7.0 MB" in seen


@pytest.mark.parametrize("text", ["", "<html>", '<script type="application/json" id="data">[1]</script>'])
def test_what_is_no_page_of_ours_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "page"
    path.write_text(text)

    assert read_files(path) is None
    assert not add_checks(path, PAGE.sha256, ())
    assert path.read_text() == text


@pytest.mark.parametrize("number", [10**400, -1, 1 << 63, 0.5, "1", None], ids=str)
def test_a_page_with_numbers_that_no_file_has_is_left_alone(page: Path, number: object) -> None:
    text = page.read_text().replace('"/usr/bin/bash":1400000', f'"/usr/bin/bash":{json.dumps(number)}')
    page.write_text(text)

    assert read_files(page) is None
    add_checks(page, PAGE.sha256, ())


def test_folders_are_two_levels_deep_and_three_below_usr() -> None:
    files = {"/usr/share/doc/bash/README": 1, "/usr/share/doc/x": 2, "/etc/a/b/c": 4, "/init": 8}

    assert folders(files) == {"/usr/share/doc": 3, "/etc/a": 4, "/": 8}


def test_a_trace_has_a_lane_for_what_runs_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    names = (("install", "stage", 10.0, 2.0), ("rpm", "program", 10.5, 1.0), ("tar", "program", 11.0, 1.0))

    write_trace(
        path,
        [Span(name=n, kind=kind, where="inside", began=b, seconds=s) for n, kind, b, s in reversed(names)],
    )

    events = json.loads(path.read_text())["traceEvents"]
    spans = [event for event in events if event["ph"] == "X"]
    assert [(one["name"], one["ts"], one["dur"]) for one in spans] == [
        ("install", 0, 2_000_000),
        ("rpm", 500_000, 1_000_000),
        ("tar", 1_000_000, 1_000_000),
    ]
    assert len({one["tid"] for one in spans}) == 3


def test_a_trace_replaces_only_a_regular_file(tmp_path: Path) -> None:
    device, link, real = tmp_path / "device", tmp_path / "link", tmp_path / "real"
    device.symlink_to("/dev/null")
    real.write_text("old")
    link.symlink_to(real)
    (tmp_path / "folder").mkdir()

    write_trace(device, [])
    write_trace(link, [])

    assert (device.is_symlink(), Path("/dev/null").is_char_device()) == (True, True)
    assert (link.is_symlink(), json.loads(real.read_text())["traceEvents"]) == (True, [])
    with pytest.raises(BuildError, match="is a folder"):
        write_trace(tmp_path / "folder", [])
