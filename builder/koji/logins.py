# SPDX-License-Identifier: MIT
"""Why a login failed, in one line: the libraries wrap the cause in sentences, or only log it.

The texts are those of OpenSSL's alerts (RFC 8446, 6.2), of MIT Kerberos and of the hub's auth.py.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.errors import RemoteError

# What stands around a cause: koji.ssl_login and gssapi_login, requests, urllib3, GSSAPI.
LAYERS = re.compile(r"^.*(?:auth failed: |Caused by |Minor \(\d+\): |\w+Error\(\d+, ')")
# The option of a profile that names a file of each way to log in.
FILES = {"ssl": ("cert", "serverca"), "kerberos": ("serverca", "keytab"), "password": ("serverca",)}


@dataclass(frozen=True, slots=True)
class Cause:
    """A pattern of what the libraries say, and what we say. `{0}` is what its group matched."""

    pattern: str
    reason: str
    hint: str


NO_TICKET = r"No (?:Kerberos )?credentials (?:were supplied|available)|No credentials cache found"
CAUSES = (
    Cause(
        r"ALERT_CERTIFICATE_EXPIRED",
        "the client certificate has expired",
        "get a new one; the profile {profile} has it in {cert}",
    ),
    Cause(
        r"ALERT_UNKNOWN_CA|ALERT_BAD_CERTIFICATE|ALERT_CERTIFICATE_UNKNOWN|ALERT_DECRYPT_ERROR",
        "the hub does not trust the client certificate",
        "is it for this hub? see cert of the profile {profile}: {cert}",
    ),
    Cause(
        r"ALERT_CERTIFICATE_REQUIRED|could not verify client",
        "the hub got no client certificate that it can verify",
        "see cert of the profile {profile}: {cert}",
    ),
    Cause(
        r"No client cert provided",
        "there is no client certificate",
        "set cert in the profile {profile}: a PEM file with certificate and key",
    ),
    Cause(
        r"PEM lib|NO_START_LINE|BAD_BASE64|KEY_VALUES_MISMATCH|PEM routines",
        "the file {cert} does not hold a certificate and its key",
        "see cert of the profile {profile}: it is one PEM file with both",
    ),
    Cause(
        r"Unknown user: ([^\s>'\")]+)",
        "the hub has no user {0}",
        "ask the hub's administrators for an account",
    ),
    Cause(
        r"[Tt]icket expired|credential(?:s have| has) expired",
        "the Kerberos ticket has expired",
        "get a new one with kinit",
    ),
    Cause(
        r"(Keytab \S+ is (?:nonexistent|empty)\w*|Can't find client principal \S+ in cache|"
        r"Client '\S+' not found in Kerberos database|Key table .* not found|"
        r"Preauthentication failed|Matching credential not found)",
        "{0}",
        "see principal and keytab of the profile {profile}, or kinit as that principal",
    ),
    Cause(
        NO_TICKET,
        "there is no Kerberos ticket",
        "kinit, or set principal and keytab in the profile {profile}",
    ),
    Cause(
        r"(Cannot contact any KDC for realm '[^']+'|Cannot find KDC for realm \"[^\"]+\"|"
        r"Server \S+ not found in Kerberos database|Clock skew too great)",
        "{0}",
        "see /etc/krb5.conf, and the server line of the profile {profile}",
    ),
    Cause(
        r"\b401\b",
        "the hub does not take the Kerberos ticket",
        "see klist, and principal of the profile {profile}",
    ),
    Cause(
        r"(invalid username or password)",
        "{0}",
        "see user and password of the profile {profile}",
    ),
)
# The connection broke in the middle: nothing is said about who we are.
BROKEN = re.compile(r"(?:exceptions\.(?:ConnectionError|ConnectTimeout|ReadTimeout)|HTTPError: 5\d\d)\b")


def check_files(options: dict[str, Any], *, server: str, profile: str) -> None:
    """Refuse a profile whose files cannot be read, before the hub is asked.

    Args:
        options: what Koji's library read for the profile.

    Raises:
        RemoteError: the login failed: with the file and its option.
    """
    for option in FILES.get(options.get("authtype") or "", ()):
        name = options.get(option)
        if not name:
            continue
        try:
            with Path(name).expanduser().open("rb"):
                pass
        except OSError as error:
            raise RemoteError(
                f"{server}: the login failed: {name}: {(error.strerror or 'cannot be read').lower()}",
                hint=f"see {option} of the profile {profile}",
            ) from error


def explain_login(text: str, options: dict[str, Any], *, server: str, profile: str) -> RemoteError:
    """Return the error of a login that the hub or a library refused.

    Args:
        text: everything that was said about it.
        options: of the profile.
    """
    words = {"profile": profile, "cert": options.get("cert") or "(none)"}
    if options.get("keytab") and re.search(NO_TICKET, text):
        # What the library says is the same, whether the keytab is wrong or its realm out of reach.
        keytab, principal = options["keytab"], options.get("principal") or ""
        return RemoteError(
            f"{server}: the login failed: {keytab} gave no Kerberos ticket",
            hint=f"kinit -k -t {keytab} {principal}".rstrip() + " says why",
        )
    for cause in CAUSES:
        if match := re.search(cause.pattern, text):
            found = [str(group) for group in match.groups() if group]
            return RemoteError(
                f"{server}: the login failed: {cause.reason.format(*found, **words)}",
                hint=cause.hint.format(*found, **words),
            )
    lines = [line for line in text.splitlines() if line.strip()] or ["unable to log in"]
    return RemoteError(
        f"{server}: the login failed: {LAYERS.sub('', lines[0]).strip(' ()')}",
        hint=f"see authtype of the profile {profile}; kinit for Kerberos",
    )


class _Heard(logging.Handler):
    """Keeps the errors that a library logs, and goes on without."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the error of a record."""
        if record.exc_info and record.exc_info[1] is not None:
            self.errors.append(str(record.exc_info[1]))


@contextlib.contextmanager
def gssapi_errors() -> Iterator[list[str]]:
    """Yield what goes wrong with Kerberos meanwhile: requests_gssapi logs it, and goes on to HTTP 401."""
    logger, heard = logging.getLogger("requests_gssapi"), _Heard()
    logger.addHandler(heard)
    try:
        yield heard.errors
    finally:
        logger.removeHandler(heard)
