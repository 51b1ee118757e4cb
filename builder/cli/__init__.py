# SPDX-License-Identifier: MIT
"""The command line: one module a command, imported only when it is the one asked for."""

from __future__ import annotations

import argparse
import difflib
import importlib
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol, cast

from builder import __version__
from builder.choices import read_refused_choice
from builder.errors import InputError, Problem
from builder.report import Report
from builder.runner import Runner

# In the order of a packager's day; the text is what `--help` lists, so that no module is imported for it.
COMMANDS = {
    "targets": "list the distributions that we build for",
    "images": "list the kickstarts of images.yaml",
    "specs": "make the specs of OpenStack's services from the catalogue",
    "srpm": "build a source RPM",
    "rpm": "build binary RPMs",
    "bundle": "list what is in the Python environment of the services, and what is outdated",
    "bump": "write a new version or release and a changelog entry",
    "check-rpm": "check RPMs: rpmlint, and what their target wants",
    "repo": "make dnf repositories of built RPMs",
    "check": "check kickstarts: errors, warnings, what would be ignored",
    "image": "build a qcow2 guest image from a kickstart",
    "verify": "boot an image and run the checklist on it",
    "upload": "upload an image to Glance and compare its hash",
    "flatten": "print a kickstart as one file, its includes resolved",
    "export": "export a kickstart as an element of diskimage-builder",
    "koji": "build packages and images on a Koji hub, and fetch what it made",
    "services": "print the catalogue as services.json",
    "clean": "remove caches, after saying how much",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What every command gets: a way to talk and a way to start programs."""

    report: Report
    runner: Runner


class Command(Protocol):
    """What a command module offers."""

    SUMMARY: str
    EXAMPLE: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's options."""

    def run(self, args: argparse.Namespace, context: Context) -> int:
        """Do it; return the exit code."""


class Parser(argparse.ArgumentParser):
    """argparse, with our errors: one line, a hint, exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Raise argparse's error in our form: the value first, the nearest choice as the hint."""
        hint = f"see {self.prog} --help"
        if found := re.fullmatch(r"argument (\S+): (.*)", message):
            if refused := read_refused_choice(found[2]):
                message = f"argument {found[1]}: `{refused.value}` is not one of {', '.join(refused.choices)}"
                hint = refused.hint or hint
            elif number := re.fullmatch(r"invalid int value: '(.*)'", found[2]):
                message = f"argument {found[1]}: `{number[1]}` is not a whole number"
        raise InputError(message, hint=hint)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse `argv`; the namespace holds `quiet`, `verbose`, `debug` and `command`.

    Raises:
        InputError: unknown command or option, with the nearest that exists; an empty argument.
    """
    refuse_empty(argv)
    name = next((word for word in argv if not word.startswith("-")), None)
    if name is not None and name not in COMMANDS and not name.startswith("-"):
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        raise InputError(
            f"unknown command: {name}",
            hint=f"did you mean {near[0]}?" if near else "see openstack-builder --help",
        )
    parser = Parser(
        prog="openstack-builder",
        description="From specs to RPMs, from a kickstart to a booted guest image in Glance.",
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"openstack-builder {__version__}")
    _add_common(parser, default=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    for word, summary in COMMANDS.items():
        if name is not None and word != name:
            continue
        command = commands.add_parser(
            word,
            help=summary,
            description=summary,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        _add_common(command, default=argparse.SUPPRESS)
        if word == name:
            module = load(word)
            command.description = f"{module.SUMMARY}"
            command.epilog = f"example:\n{module.EXAMPLE}"
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    found, rest = parser.parse_known_args(argv)
    if rest:
        _refuse(rest, _innermost(parser, argv))
    return found


def _innermost(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of the command, or of its action (`koji build`), that `argv` names."""
    for word in argv:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction) and word in action.choices:
                parser = action.choices[word]
                break
    return parser


def _refuse(words: Sequence[str], parser: argparse.ArgumentParser) -> NoReturn:
    """Refuse words that are neither options nor arguments of a command.

    Raises:
        InputError: always; the hint is the nearest option, or the command's help.
    """
    first = words[0].partition("=")[0]
    near = difflib.get_close_matches(first, parser._option_string_actions, n=1) if first[0] == "-" else []
    raise InputError(
        f"unrecognized arguments: {' '.join(words)}",
        hint=f"did you mean {near[0]}?" if near else f"see {parser.prog} --help",
    )


def refuse_empty(argv: Sequence[str]) -> None:
    """Refuse arguments without a character in them: empty is not absent.

    `--sign "$KEY"` with a variable that nobody has set would otherwise make an unsigned repository.

    Raises:
        InputError: naming each option, or the place of each argument, that is empty.
    """
    problems = []
    for number, word in enumerate(argv, 1):
        option, equals, value = word.partition("=")
        before = argv[number - 2] if number > 1 else ""
        if word.startswith("--") and equals and not value.strip():
            problems.append(Problem(message="the value is empty", where=option, hint=_EMPTY))
        elif not word.strip():
            named = before.startswith("-") and "=" not in before
            where = before if named else f"argument {number}"
            problems.append(Problem(message="the value is empty", where=where, hint=_EMPTY))
    if problems:
        raise InputError(problems=problems)


_EMPTY = "is a variable unset? leave the option out if you mean none"


def run(args: argparse.Namespace, report: Report) -> int:
    """Run the command that `parse` found."""
    function = cast("Callable[[argparse.Namespace, Context], int]", args.run)
    return function(args, Context(report=report, runner=Runner(report)))


def load(name: str) -> Command:
    """Import the module of a command."""
    return cast("Command", importlib.import_module(f"builder.cli.{name.replace('-', '_')}"))


def _add_common(parser: argparse.ArgumentParser, *, default: object) -> None:
    parser.add_argument(
        "-q", "--quiet", action="store_true", default=default, help="print only results and errors"
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        default=default,
        help="print more, including what has no effect",
    )
    parser.add_argument(
        "--debug", action="store_true", default=default, help="print everything, with tracebacks"
    )


def _epilog() -> str:
    return (
        "exit codes: 0 done or nothing to do, 1 failed, 2 usage or bad input, 3 declined,\n"
        "4 a tool or permission is missing, 5 the remote side failed, 130 interrupted\n"
        "\n"
        "See openstack-builder COMMAND --help for each command, and openstack-builder(1) for everything."
    )


if sys.version_info < (3, 11):  # noqa: UP036 - the clear sentence is for exactly those
    raise InputError("openstack-builder needs Python 3.11 or later")
