# SPDX-License-Identifier: MIT
"""Passwords: read from a file, stdin or a terminal without echo, or made; never from a command line.

Given as an option a password works too, with a warning, since everybody can read a command line.
"""

import os
import string
import sys

from ..errors import UsageError, UtilityError, reason_of

LENGTH = 32
SPECIAL = "-_"


def generate():
    """Return a new password, of characters that need no quoting in a shell, a file or a URL."""
    import secrets

    letters = string.ascii_letters + string.digits + SPECIAL
    kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits, SPECIAL)
    while True:
        password = "".join(secrets.choice(letters) for _ in range(LENGTH))
        # The policies of servers ask for each kind; no option of a command begins with a letter or digit.
        if password[0].isalnum() and all(set(kind).intersection(password) for kind in kinds):
            return password


def read_password(source, what):
    """Return the password in a file, without the end of its line; `-` is stdin or the terminal.

    Raises UsageError for what cannot be a password, UtilityError for a file that cannot be read.
    """
    if source == "-" and sys.stdin is not None and sys.stdin.isatty():
        return ask_twice(what)
    try:
        if source == "-":
            # Line by line and no further: somebody else may read the next one.
            data = b""
            while not data.endswith(b"\n"):
                byte = os.read(0, 1)
                if not byte:
                    break
                data += byte
        else:
            with open(source, "rb") as file:
                data = file.read(65536)
    except OSError as error:
        raise UtilityError("%s: %s" % (source, reason_of(error))) from None
    try:
        # Editors of Windows begin a file with a byte order mark.
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError("%s: %s is not UTF-8 text" % (source, what)) from None
    text = text[:-1] if text.endswith("\n") else text
    return check(text[:-1] if text.endswith("\r") else text, what)


def check(password, what):
    """Return the password; refuse one that no configuration file or terminal can hold (UsageError)."""
    try:
        password.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError("%s is not UTF-8 text" % what) from None
    if any(ord(character) < 32 or ord(character) == 127 for character in password):
        raise UsageError("%s has a control character or several lines" % what)
    return password


def ask(what):
    """Ask on the terminal, without echo. Raises UsageError at the end of the input."""
    import getpass

    try:
        return check(getpass.getpass("%s: " % what), what)
    except EOFError:
        raise UsageError("no %s given" % what) from None


def ask_twice(what):
    """Ask for a new password until both answers are the same."""
    while True:
        password = ask(what)
        if ask("%s again" % what) == password:
            return password
        sys.stderr.write("they differ\n")
