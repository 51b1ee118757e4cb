# SPDX-License-Identifier: MIT
"""A session with a hub: the login, calls, uploads and downloads.

Authentication and the wire format come from Koji's own library. Two kinds of calls are kept apart: a
question may be asked again when the connection breaks; a submission may not, since nobody knows whether the
first one arrived (`Hub.submit` and its caller find out by asking).
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.errors import RemoteError
from builder.koji.faults import Broken, Lost, explained, reason
from builder.koji.logins import BROKEN, check_files, explain_login, gssapi_errors
from builder.koji.profile import Profile, library

# A hub that restarts is back within a minute or so; the library's own default is ten minutes of silence.
QUESTIONS = 6
PAUSE = 2.0
PAUSE_MOST = 20.0


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the hub's API as `--dry-run` prints it: method and arguments."""

    method: str
    arguments: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{self.method}({', '.join(map(repr, self.arguments))})"


class Hub:
    """A session with a hub.

    Args:
        profile: which hub, and how to log in there.
        pause: called with the seconds to wait before a question is asked again.
    """

    def __init__(self, profile: Profile, *, pause: Callable[[float], None] = time.sleep) -> None:
        koji = library()
        self.profile = profile
        self._pause = pause
        options = koji.grab_session_options(profile.options)
        # Retries are made here, where a query can be distinguished from a submission.
        # The library's Kerberos login counts its first attempt among the retries.
        options |= {"max_retries": 1, "retry_interval": 0, "anon_retry": False, "offline_retry": False}
        self._session = koji.ClientSession(profile.server, options)

    def login(self) -> str:
        """Log in as the profile says; return the user's name.

        Raises:
            RemoteError: the hub does not answer or does not let us in.
        """
        server, profile, options = self.profile.server, self.profile.name, self.profile.options
        check_files(options, server=server, profile=profile)
        # A hub that is down, or whose certificate is not trusted, is not a failed login.
        self.ask("getAPIVersion")
        self._retried("login", self._activate)
        user = self.ask("getLoggedInUser")
        if not user:
            raise RemoteError(
                f"{server}: the profile {profile} does not log in",
                hint="set authtype in the profile: kerberos, ssl or password",
            )
        return str(user["name"])

    def _activate(self) -> None:
        """Log in by the library, whose messages go to the terminal and whose failure may be an exit."""
        from koji import AuthError
        from koji_cli.lib import activate_session

        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said), gssapi_errors() as causes:
            try:
                activate_session(self._session, self.profile.options)
            except (AuthError, SystemExit) as error:
                text = "\n".join([*causes, str(error), said.getvalue()])
                if BROKEN.search(text):
                    raise Broken("the connection broke during the login") from error
                raise explain_login(
                    text, self.profile.options, server=self.profile.server, profile=self.profile.name
                ) from error

    def ask(self, method: str, *arguments: Any, **keywords: Any) -> Any:
        """Call a method that changes nothing; asked again when the connection breaks.

        Raises:
            RemoteError: the hub refused, or did not answer several times in a row.
        """
        return self._retried(method, lambda: self._session._callMethod(method, arguments, keywords))

    def ask_all(self, calls: Sequence[Call]) -> list[Any]:
        """Make several calls that change nothing in one request; return their answers.

        Raises:
            RemoteError: the hub refused one of them, or did not answer.
        """
        if not calls:
            return []

        def request() -> list[Any]:
            with self._session.multicall(strict=True) as batch:
                answers = [getattr(batch, call.method)(*call.arguments) for call in calls]
            return [answer.result for answer in answers]

        answers: list[Any] = self._retried(calls[0].method, request)
        return answers

    def upload(self, path: Path, folder: str, progress: Callable[[int, int], None] | None = None) -> str:
        """Upload a file into a folder of the hub's work area; return its path there.

        Each chunk, and the whole, is compared by checksum (the library's fastUpload). An upload that broke
        is begun again: it overwrites itself.

        Args:
            progress: called with the bytes sent and the bytes of the file.
        """

        def show(sent: int, total: int, _size: int, _lap: float, _all: float) -> None:
            if progress is not None:
                progress(sent, total)

        self._retried("upload", lambda: self._session.uploadWrapper(str(path), folder, callback=show))
        return f"{folder}/{path.name}"

    def submit(self, call: Call) -> Any:
        """Make a call that changes something, once.

        Raises:
            Lost: the connection broke; the call may have arrived.
            RemoteError: the hub refused.
        """
        try:
            with self._explained(call.method):
                return self._session._callMethod(call.method, call.arguments, {}, retry=False)
        except Broken as error:
            raise Lost(str(error)) from error

    def open(self, url: str, offset: int) -> RemoteFile:
        """Open a file of the hub's file server, from `offset` on where the server can.

        The library's own HTTP session is used: the profile's certificates count here too.

        Raises:
            RemoteError: it is not there, or the server does not answer.
        """

        def request() -> RemoteFile:
            headers = {"Range": f"bytes={offset}-"} if offset else {}
            verify = self.profile.options.get("serverca") or True
            timeout = self.profile.options.get("timeout") or 60
            answer = self._session.rsession.get(
                url, headers=headers, stream=True, verify=verify, timeout=timeout
            )
            if answer.status_code == 416:
                return RemoteFile(answer, resumed=True, ended=True)
            answer.raise_for_status()
            return RemoteFile(answer, resumed=answer.status_code == 206 or not offset)

        answer: RemoteFile = self._retried(url, request)
        return answer

    def _retried(self, method: str, function: Callable[[], Any], *, attempts: int = QUESTIONS) -> Any:
        wait = PAUSE
        for attempt in range(1, attempts + 1):
            try:
                with self._explained(method):
                    return function()
            except Broken as error:
                if attempt == attempts:
                    raise RemoteError(
                        f"{self.profile.server}: {error}",
                        hint=f"is the hub of the profile {self.profile.name} up? "
                        "see its server line in Koji's configuration",
                    ) from error
            self._pause(wait)
            wait = min(2 * wait, PAUSE_MOST)
        raise AssertionError("unreachable")

    def _explained(self, method: str) -> AbstractContextManager[None]:
        return explained(method, server=self.profile.server, profile=self.profile.name)


class RemoteFile:
    """The bytes of a file that is being downloaded; `resumed` when they begin where they were asked to."""

    def __init__(self, answer: Any, *, resumed: bool, ended: bool = False) -> None:
        self._answer = answer
        self._ended = ended
        self.resumed = resumed

    def __enter__(self) -> RemoteFile:
        return self

    def __exit__(self, *_error: object) -> None:
        self._answer.close()

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, none at the end.

        Raises:
            RemoteError: the connection broke.
        """
        if self._ended:
            return b""
        try:
            data: bytes = self._answer.raw.read(size)
        except Exception as error:
            raise RemoteError(
                f"{self._answer.url}: {reason(error)}", hint="fetch again: it goes on where it stopped"
            ) from error
        return data
