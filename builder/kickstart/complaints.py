# SPDX-License-Identifier: MIT
"""What argparse and pykickstart say of a line's arguments, in the form of our messages.

They name the command twice or not at all, quote as Python does, give no way out, and repeat the words that
they do not expect: passwords too.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Sequence

from builder.choices import read_refused_choice
from builder.kickstart.placeholders import TEMPLATE_MARKS, is_placeholder

# Commands whose arguments are passwords, and the options that take one.
_SECRET_COMMANDS = frozenset({"rootpw", "sshpw"})
_SECRET_OPTION = re.compile(r"--\S*(password|passphrase|plaintext|wpakey|wepkey|activation-key)")

_TYPES = {"int": "a whole number", "float": "a number", "boolean": "yes or no"}
_UNITS = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024 * 1024}
_SIZES = frozenset({"--size", "--maxsize", "--pesize", "--reserved-space", "--chunksize"})


def explain(message: str, words: Sequence[str], options: Collection[str] = ()) -> tuple[str, str | None]:
    """Return the message for the user, which begins with the command's name, and the hint.

    Args:
        message: what the parser said.
        words: the line, the command's name first.
        options: the options that the command has.
    """
    name = words[0]
    text = " ".join(message.split())
    if found := re.fullmatch(r"argument (\S+): (.*)", text):
        return _of_option(name, found[1].split("/")[-1], found[2])
    if found := re.fullmatch(r"the following arguments are required: (.*)", text):
        return _missing(name, found[1], words)
    if found := re.fullmatch(r"(?:unrecognized arguments|Unexpected arguments to \S+ command): (.*)", text):
        return _unexpected(name, _listed(found[1]), words, options)
    if "single argument is expected" in text and name in _SECRET_COMMANDS:
        hint = f"{name} --iscrypted HASH; `openssl passwd -6` makes a hash"
        return f"{name}: needs one argument, the password", hint
    if found := re.fullmatch(r"Invalid autopart type: (.*)", text):
        return f"{name} --type={found[1]}: there is no such type", "one of lvm, btrfs, plain"
    # Some format strings have a hyphen too many.
    text = one_line(text).replace("---", "--").replace(" options with value(s)", "")
    text = re.sub(r"^one of (--.*) options must be specified", r"give one of \1", text)
    text = re.sub(r"^only one of (--.*) options may be specified", r"give only one of \1", text)
    text = re.sub(rf"^(?:kickstart command {name}|{name}) (?=\w+ )", "", text)
    text = re.sub(rf" for (?:the )?{name} command$", "", text)
    return f"{name}: {text}", None


def _of_option(name: str, option: str, text: str) -> tuple[str, str | None]:
    """Return message and hint for `argument OPTION: TEXT`."""
    if found := re.fullmatch(r"invalid (\w+) value: '(.*)'", text):
        kind, value = found.groups()
        hint = None
        if kind == "boolean":
            hint = f"write {option}=yes or {option}=no"
        elif option in _SIZES:
            hint = f"sizes are in MiB: {option}={_in_mib(value)}"
        return f'{name} {option}: "{value}" is not {_TYPES.get(kind, f"valid ({kind})")}', hint
    if refused := read_refused_choice(text):
        return f'{name} {option}: "{refused.value}" is not one of {", ".join(refused.choices)}', refused.hint
    if text.startswith("expected "):
        return f"{name} {option} needs a value", f"write {option}=VALUE"
    if text.startswith("ignored explicit argument"):
        hint = f"write {name} {option} PASSWORD" if name in _SECRET_COMMANDS else f"write {option} alone"
        return f"{name} {option} takes no value", hint
    return f"{name} {option}: {text}", None


def _missing(name: str, listed: str, words: Sequence[str]) -> tuple[str, str | None]:
    """Return message and hint for arguments that are required."""
    missing = [word.strip("<>[] ") for word in listed.split(",")]
    if not any(word.startswith("--") for word in missing):
        return (
            f"{name}: needs {'an argument' if len(missing) == 1 else 'arguments'}: {' '.join(missing)}",
            None,
        )
    message = f"{name}: {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    plain = [word for word in words[1:] if not word.startswith("-")]
    given = plain[0] if len(missing) == 1 and len(plain) == 1 and len(words) == 2 else "VALUE"
    return message, f"write {name} {' '.join(f'{word}={given}' for word in missing)}"


def _unexpected(
    name: str, extra: Sequence[str], words: Sequence[str], options: Collection[str]
) -> tuple[str, str | None]:
    """Return message and hint for words that belong to no option."""
    secret = name in _SECRET_COMMANDS or any(_SECRET_OPTION.match(word) for word in words)
    shown = "" if secret else f": {' '.join(extra)}"
    return f"{name}: unexpected argument{'' if len(extra) == 1 else 's'}{shown}", _hint_for(
        name, extra, words, options
    )


def _hint_for(name: str, extra: Sequence[str], words: Sequence[str], options: Collection[str]) -> str:
    """Return what to do about words that belong to no option."""
    if any(word.endswith(",") for word in words):
        return "write the list without blanks: a,b"
    if name == "%packages":
        return "write packages and groups on lines of their own"
    if any("${" in word or "{{" in word for word in words):
        return "the file is a template: fill it in first"
    first = extra[0] if extra else ""
    if first.startswith("-") and not first.startswith("--"):
        near = [option for option in options if option.lstrip("-") == first.partition("=")[0].lstrip("-")]
        if near:
            return f"did you mean {near[0]}?"
    return 'remove it, or quote the value that it belongs to: "a b"'


def _listed(text: str) -> list[str]:
    """Return the words of a list as argparse (`a b`) or Python (`['a', 'b']`) writes it."""
    if text.startswith("["):
        return re.findall(r"'((?:[^'\\]|\\.)*)'|\"(?:[^\"\\]|\\.)*\"", text) or [text]
    return text.split()


def _in_mib(value: str) -> str:
    """Return a size with a unit (`4G`) in MiB, or an example."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT])i?B?", value, re.IGNORECASE)
    if found is None:
        return "2048"
    return str(max(1, round(float(found[1]) * _UNITS[found[2].upper()])))


def near_option(option: str, options: Collection[str]) -> str | None:
    """Return the option that a misspelt one may mean: --isUTC is nearer to --isUtc than to anything."""
    lower = {one.lower(): one for one in options}
    near = difflib.get_close_matches(option.lower(), list(lower), n=1, cutoff=0.75)
    return lower[near[0]] if near else None


def near_name(name: str, names: Collection[str]) -> str | None:
    """Return the hint for an unknown command or section: the nearest name, or what a template needs."""
    if is_placeholder(name) or name.startswith(TEMPLATE_MARKS):
        return "the file is a template: fill it in first"
    near = difflib.get_close_matches(name.lower(), names, n=1)
    return f"did you mean {near[0]}?" if near else None


def one_line(text: str) -> str:
    """Return a parser's sentence as our messages are: one line, lower case, without a full stop."""
    line = " ".join(text.split()).rstrip(".")
    return line[:1].lower() + line[1:]
