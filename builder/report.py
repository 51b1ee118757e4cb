# SPDX-License-Identifier: MIT
"""The one place that writes to the terminal.

Results go to stdout, everything else to stderr. A terminal sees a step while it runs and its line
rewritten when it ends; anything else sees finished lines only. NO_COLOR is honoured.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from builder.masking import mask

GREEN, YELLOW, RED, BOLD, RESET = "\033[32m", "\033[33m", "\033[31m", "\033[1m", "\033[0m"


# What a terminal, or a reader of a log, could take for something else than text: control codes, and the
# marks that turn the order of what follows (Unicode's bidirectional algorithm) or have no width.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)


def escape(text: str, *, lines: bool = False) -> str:
    """Return `text` as it can be shown: what is not to be seen as its escape, secrets as stars.

    Args:
        lines: newlines are kept.
    """
    text = mask(text)
    if not lines:
        text = text.replace("\n", "\\n")
    if text.isascii() and text.isprintable():
        return text
    shown = _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)
    return shown.encode(errors="backslashreplace").decode()


def step_label(name: str, count: tuple[int, int] | None) -> str:
    """Return what the line of a step begins with."""
    number = f"[{count[0]}/{count[1]}] " if count else ""
    return f"{number}{name:<11}"


class Step:
    """One line of progress. `detail` may be set while it runs; it is what the finished line shows."""

    def __init__(self, report: Report, label: str, detail: str) -> None:
        self._report = report
        self.label = label
        self.detail = detail
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self.started

    def progress(self, text: str) -> None:
        """Show `text` next to the label while the step runs (terminals only)."""
        self._report.transient(f"{self.label}  {text}")


class Report:
    """Shows the user what happens.

    Args:
        quiet: only warnings, errors and results.
        verbose: notes of the second rank and the output of the tools.
        debug: everything, tracebacks included.
        out, err: streams, the process's own by default.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: bool = False,
        debug: bool = False,
        out: TextIO | None = None,
        err: TextIO | None = None,
    ) -> None:
        self.quiet = quiet
        self.is_verbose = verbose or debug
        self.is_debug = debug
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        # A terminal called dumb obeys no escape sequence (term(7)).
        self._live = self._err.isatty() and not quiet and os.environ.get("TERM") != "dumb"
        self._colour = self._live and "NO_COLOR" not in os.environ
        self._transient = False
        self._table: tuple[str, ...] = ()
        self._drawn = 0
        self._unwinding = False
        self._writing = threading.Lock()

    # -- stdout ------------------------------------------------------------------------------

    def result(self, text: str) -> None:
        """Print a result line: what a script would read."""
        self._clear()
        self._out.write(escape(text, lines=True) + "\n")
        self._out.flush()

    def json(self, value: object) -> None:
        """Print `value` as indented JSON."""
        self.result(json.dumps(value, indent=2, sort_keys=False, default=str))

    def table(self, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print aligned columns under `header`."""
        for line in format_table(header, rows):
            self.result(line)

    # -- stderr ------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Say something every user wants to know."""
        if not self.quiet:
            self._line(text)

    def verbose(self, text: str) -> None:
        """Say something under -v."""
        if self.is_verbose:
            self._line(text)

    def debug(self, text: str) -> None:
        """Say something under --debug."""
        if self.is_debug:
            self._line(text)

    def warn(self, text: str) -> None:
        """Warn: work goes on."""
        self._line(f" {escape(text)}", head="warning:", colour=YELLOW)

    def error(self, lines: Sequence[str]) -> None:
        """Print the lines of an error."""
        for line in lines:
            head, colon, rest = line.partition(":")
            colour = RED if head == "error" else BOLD
            self._line(escape(rest), head=escape(head + colon), colour=colour)

    def ask(self, question: str) -> bool:
        """Ask on the terminal; False where there is none, or for anything but yes."""
        if not sys.stdin.isatty():
            return False
        self._clear()
        self._err.write(f"{escape(question, lines=True)} [y/N] ")
        self._err.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def transient(self, text: str) -> None:
        """Show `text` on the terminal until the next line; nothing elsewhere."""
        if self._live:
            self._err.write("\r\033[K" + escape(text[:200]))
            self._err.flush()
            self._transient = True

    def live(self, lines: Sequence[str]) -> None:
        """Show a table on the terminal that the next one replaces; nothing elsewhere.

        Notes appear above it. No lines: the table goes.
        """
        with self._writing:
            self._clear()
            self._table = tuple(lines) if self._live else ()
            self._draw()

    @contextmanager
    def step(self, name: str, detail: str = "", *, count: tuple[int, int] | None = None) -> Iterator[Step]:
        """Show one step: `[4/9] install  241 packages  7.1s`.

        While an exception unwinds, the failing step stays visible and later ones (the clean-up)
        stand in parentheses.
        """
        label = step_label(name, count)
        step = Step(self, label, detail)
        self.transient(f"{label} {detail}")
        try:
            yield step
        except BaseException:
            if not self._unwinding:
                self._failed(label, step.detail, step.seconds)
            self._unwinding = True
            raise
        line = f"{label} {step.detail}  {step.seconds:.1f}s"
        self.note(f"({line})" if self._unwinding else line)

    def ended(
        self, name: str, detail: str, *, seconds: float, count: tuple[int, int], failed: bool = False
    ) -> None:
        """Show the line of a step that ran in parallel with others, when it has ended."""
        label = step_label(name, count)
        if failed:
            self._failed(label, detail, seconds)
        else:
            self.note(f"{label} {detail}  {seconds:.1f}s")

    # -- inside ------------------------------------------------------------------------------

    def _failed(self, label: str, detail: str, seconds: float) -> None:
        self._line(f"{label} {detail}  {seconds:.1f}s ", tail="failed", colour=RED)

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{RESET}" if text and self._colour else text

    def _draw(self) -> None:
        """Draw the live table, one line of it a line of the terminal."""
        width = shutil.get_terminal_size().columns - 1
        for text in self._table:
            self._err.write(escape(text)[:width] + "\n")
        self._drawn = len(self._table)
        self._err.flush()

    def _clear(self) -> None:
        if self._drawn:
            # Up to the table's first line, and erase all below (ECMA-48: CUU, ED).
            self._err.write(f"\033[{self._drawn}A\033[J")
            self._drawn = 0
        if self._transient:
            self._err.write("\r\033[K")
            self._err.flush()
            self._transient = False

    def _line(self, text: str, *, head: str = "", tail: str = "", colour: str = "") -> None:
        """Write a line; what is painted is ours, what is not may be anybody's."""
        painted = self._paint(colour, head), escape(text, lines=True), self._paint(colour, tail)
        with self._writing:
            self._clear()
            self._err.write("".join(painted) + "\n")
            self._draw()


def format_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Return the lines of a table: columns two blanks apart, numbers to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(header), *cells]) for i in range(len(header))]
    numeric = [
        bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(header))
    ]

    def line(row: Sequence[str]) -> str:
        return "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()

    return [line(header), *(line(row) for row in cells)]
