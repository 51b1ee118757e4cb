# SPDX-License-Identifier: MIT
"""Taking passwords out of texts that come from outside: output of programs, answers of servers.

Only those are masked: in our own words a password never stands, and masking them would break a word
that happens to be one (and show what the password is). A short password is masked as a whole word only, for
the same reason.
"""

import re
from urllib.parse import quote

SHORT = 8
# A password that is one of these hides nothing, and masking it would show it.
COMMON = ("root", "postgres", "mysql", "localhost", "password", "admin")


class Secrets:
    """Passwords that must not be shown. A name of the catalogue hides nothing, and stays readable."""

    def __init__(self, names=()):
        self._names = frozenset(names).union(COMMON)
        self._texts = []

    def add(self, password):
        """Remember a password, in every form in which a program may write it; return it."""
        if password and password not in self._names:
            # The longest first: a shorter one may be a part of it.
            self._texts = sorted(_forms(password).union(self._texts), key=len, reverse=True)
        return password

    def mask(self, text):
        """Return a text of somebody else without the passwords."""
        for secret in self._texts:
            if len(secret) >= SHORT:
                text = text.replace(secret, "***")
            elif secret in text:
                text = re.sub(r"(?<!\w)%s(?!\w)" % re.escape(secret), "***", text)
        return text


def _forms(password):
    """The password plain, in a URL, in oslo.config's files, in Python and in SQL."""
    # PyMySQL is given the UTF-8 bytes as latin-1.
    in_latin_1 = password.encode("utf-8").decode("latin-1")
    forms = {password, password.replace("$", "$$"), quote(password, safe=""), quote(in_latin_1, safe="")}
    forms.update((repr(password)[1:-1], password.replace("'", "''")))
    forms.add(password.replace("\\", "\\\\").replace("'", "\\'"))
    return forms
