# SPDX-License-Identifier: MIT
"""The command line: help, completion and man page agree; errors are one line with a way out."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from builder import cli

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).with_name("openstack-builder")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run openstack-builder."""
    return subprocess.run(
        [sys.executable, "-m", "builder", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )


def options(command: str) -> set[str]:
    """Return the options of a command that its help shows."""
    parser = argparse.ArgumentParser()
    cli.load(command).add_arguments(parser)
    return options_of(parser)


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """Return the options that the help of a parser, and of its actions, shows."""
    found = set()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= set().union(*map(options_of, action.choices.values()))
        elif action.help != argparse.SUPPRESS:
            found |= set(action.option_strings)
    return found


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    done = run(command, "--help")

    assert done.returncode == 0
    assert f"openstack-builder {command}" in done.stdout.split("example:")[1]
    assert "==SUPPRESS==" not in done.stdout


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_completion_knows_every_option(command: str) -> None:
    text = (ROOT / "builder/completion/openstack-builder").read_text()
    offered = re.search(rf'^    {command}\) word="([^"]*)"', text, re.M)

    assert offered is not None
    assert options(command) - {"-h", "--help"} <= set(offered[1].split())
    assert {word for word in offered[1].split() if word.startswith("-")} <= options(command)


def test_every_command_that_takes_a_target_takes_its_short_form() -> None:
    takers = {command for command in cli.COMMANDS if "--target" in options(command)}

    assert takers >= {"check", "image", "rpm"}
    assert all("-t" in options(command) for command in takers)


def test_what_check_reads_a_kickstart_with_image_takes_too() -> None:
    assert options("check") - {"--json"} <= options("image")


def test_completion_offers_commands_in_a_shell() -> None:
    script = (
        "source builder/completion/openstack-builder; COMP_WORDS=(openstack-builder ver); COMP_CWORD=1; "
        '_openstack_builder; echo "${COMPREPLY[@]}"'
    )

    done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "verify"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(("rpm", "-t", "epel-10"), "epel-10", id="targets"),
        pytest.param(("targets", "fedora-17"), "fedora-17", id="pattern of targets"),
        pytest.param(("image", "jeos-fedora-17"), "jeos-fedora-17", id="images"),
    ],
)
def test_completion_offers_names_out_of_the_data(words: tuple[str, ...], expected: str) -> None:
    script = (
        f"source builder/completion/openstack-builder; COMP_WORDS=({PROGRAM} {' '.join(words)}); "
        f'COMP_CWORD={len(words)}; _openstack_builder; echo "${{COMPREPLY[@]}}"'
    )

    done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.split() == [expected]


def test_the_man_page_names_every_command_and_renders_without_complaint() -> None:
    path = ROOT / "builder/man/openstack-builder.1"
    text = path.read_text()

    done = subprocess.run(
        ["groff", "-man", "-t", "-Tutf8", "-ww", "-z", path], capture_output=True, text=True, check=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip

    assert done.stderr == ""
    for command in cli.COMMANDS:
        assert re.search(rf"\b{command}\b", text), command


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        pytest.param(["imgae"], "unknown command: imgae", "did you mean image?", id="misspelt command"),
        pytest.param([], "the following arguments are required: COMMAND", "--help", id="no command"),
        pytest.param(
            ["clean", "--ye"], "unrecognized arguments: --ye", "did you mean --yes?", id="abbreviated"
        ),
        pytest.param(["image"], "the following arguments are required: image", "--help", id="no argument"),
        pytest.param(["check", "--jsno"], "arguments: --jsno", "did you mean --json?", id="misspelt option"),
        pytest.param(["flatten", "a", "b"], "arguments: b", "see openstack-builder flatten --help", id="two"),
        pytest.param(
            ["koji", "wach", "1"], "ACTION: `wach` is not one of", "did you mean watch?", id="choice"
        ),
        pytest.param(["koji", "watch", "x"], "`x` is not a whole number", "koji watch --help", id="number"),
        pytest.param(["koji", "watch", "1", "-Q"], "arguments: -Q", "koji watch --help", id="action"),
        pytest.param(["image", "jeos-fixtur"], "unknown image", "did you mean jeos-fixture?", id="image"),
    ],
)
def test_a_mistake_is_one_line_with_a_way_out(words: list[str], message: str, hint: str) -> None:
    done = run(*words)

    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].startswith("error: ")
    assert message in lines[0]
    assert lines[1].startswith("hint:  ")
    assert hint in lines[1]


@pytest.mark.parametrize("path", [".", "/"])
@pytest.mark.parametrize(
    "words",
    [
        ("verify",),
        ("upload",),
        ("check",),
        ("image",),
        ("flatten",),
        ("check-rpm",),
        ("koji", "import", "--release", "1", "--dry-run"),
    ],
    ids=" ".join,
)
def test_a_folder_in_place_of_a_file_is_named(words: tuple[str, ...], path: str) -> None:
    done = run(*words, path)

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: {path}: ")


def closed(redirection: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run openstack-builder in a shell that closes a stream."""
    return subprocess.run(
        ["bash", "-c", f'"$@" {redirection}', "bash", sys.executable, "-m", "builder", *words],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_closed_stdout_is_an_error() -> None:
    done = closed(">&-", "targets")

    assert (done.returncode, done.stderr) == (1, "error: stdout: is closed\n")


def test_a_closed_stderr_changes_nothing_else() -> None:
    assert closed("2>&-", "chek").returncode == 2
    assert closed("2>&- <&-", "targets").stdout == run("targets").stdout


def test_a_check_takes_a_kickstart_of_any_name(tmp_path: Path) -> None:
    path = tmp_path / "gäste (alt).ks"
    path.write_text("part / --size=2000\nrootpw --lock\n%packages\n%end\n")

    done = run("check", "-t", "fedora-45", str(path))

    assert (done.returncode, done.stderr) == (0, "")
    assert (
        "cannot be the name of an image" in run("image", "--plan", "--target", "fedora-45", str(path)).stderr
    )


def test_output_to_a_hyphen_is_stdout() -> None:
    done = run("flatten", "jeos-fixture", "-o", "-")

    assert done.returncode == 0
    assert done.stdout == run("flatten", "jeos-fixture").stdout != ""
    assert not (ROOT / "-").exists()


def test_help_imports_none_of_the_commands() -> None:
    script = (
        "import sys; from builder.__main__ import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print([name for name in sys.modules if name.startswith('builder.image')], file=sys.stderr)"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["repo", "out", "--sign", ""], "--sign"),
        (["repo", "out", "--sign="], "--sign"),
        (["repo", "out", "--sign", "KEY", "--gnupghome", ""], "--gnupghome"),
        (["repo", "out", "--url", " "], "--url"),
        (["repo", ""], "argument 2"),
        (["image", "jeos", "--name", ""], "--name"),
        (["rpm", "x", "-t", ""], "-t"),
        (["upload", "disk.qcow2", "--cloud", ""], "--cloud"),
        (["bump", "openstack-utils", "-m", ""], "-m"),
        (["services", "-o", ""], "-o"),
    ],
    ids=" ".join,
)
def test_an_empty_value_is_refused_by_name(words: list[str], named: str) -> None:
    done = run(*words)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {named}: the value is empty\n")


def test_an_empty_value_within_an_argument_is_not_an_empty_argument() -> None:
    cli.parse(["upload", "disk.qcow2", "--property", "os_distro=", "--property=os_version="])


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_without_colours_gets_no_escape_sequence(variable: str, value: str) -> None:
    shell = f"{variable}={value} {sys.executable} -m builder chek"
    coloured = f"TERM=xterm {sys.executable} -m builder chek"

    done, other = (
        subprocess.run(
            ["script", "-qec", words, "/dev/null"], cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout
        for words in (shell, coloured)
    )

    assert "error: unknown command: chek" in done
    assert "\x1b" not in done
    assert "\x1b" in other


def test_an_interrupt_while_it_starts_is_one_line(tmp_path: Path) -> None:
    # Stands for a Ctrl-C within the slowest import.
    (tmp_path / "yaml.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")

    done = subprocess.run(
        [sys.executable, "-m", "builder", "targets"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{tmp_path}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (130, "error: interrupted by SIGINT\n")
