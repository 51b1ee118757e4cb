# SPDX-License-Identifier: MIT
"""The passwords of a run: given, asked for, found or made; and taking them out of every text.

A password is read from a file, stdin or a terminal without echo. Given as an option it works too,
with a warning, since everybody can read a command line.
"""

import getpass
import os
import secrets
import string
import sys

from ..errors import UsageError, UtilityError
from . import urls

LENGTH = 32
SPECIAL = "-_"


class Secrets:
    """Passwords that must not be shown. A name of the catalogue hides nothing, and stays readable."""

    def __init__(self, names=()):
        self._names = frozenset(names)
        self._texts = []

    def add(self, password):
        """Remember a password, in every form in which it may be written; return it."""
        if password and password not in self._names:
            forms = {password, password.replace("$", "$$"), urls.encode(password)}
            forms.add(urls.encode(urls.for_pymysql(password)))
            forms.update((repr(password)[1:-1], password.replace("'", "''")))
            forms.add(password.replace("\\", "\\\\").replace("'", "\\'"))
            # The longest first: a shorter one may be a part of it.
            known = forms.union(self._texts)
            self._texts = sorted(known, key=len, reverse=True)
        return password

    def mask(self, text):
        for secret in self._texts:
            text = text.replace(secret, "***")
        return text


def generate():
    """Return a new password, of characters that need no encoding anywhere."""
    letters = string.ascii_letters + string.digits + SPECIAL
    kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits, SPECIAL)
    while True:
        password = "".join(secrets.choice(letters) for _ in range(LENGTH))
        # What the policies of servers ask for; no option of a command begins so.
        if password[0].isalnum() and all(set(kind).intersection(password) for kind in kinds):
            return password


def read_password(source, what):
    """Return the password in a file, without the end of its line; `-` is stdin or the terminal.

    Raises UsageError for what is no password, UtilityError for a file that cannot be read.
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
        raise UtilityError("%s: %s" % (source, error.strerror.lower())) from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError("%s: %s is not UTF-8 text" % (source, what)) from None
    text = text[:-1] if text.endswith("\n") else text
    return check(text[:-1] if text.endswith("\r") else text, what)


def check(password, what):
    """Refuse a password that no configuration file or terminal can hold."""
    try:
        password.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError("%s is not UTF-8 text" % what) from None
    if any(ord(character) < 32 or ord(character) == 127 for character in password):
        raise UsageError("%s has a control character or several lines" % what)
    return password


def ask(what):
    """Ask on the terminal, without echo. Raises UsageError at the end of the input."""
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
