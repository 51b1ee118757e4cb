# SPDX-License-Identifier: MIT
"""What goes wrong between us and a hub: each failure of the library as one clear error of ours."""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Iterator
from xml.parsers.expat import ExpatError

from builder.errors import BuildError, RemoteError


class Lost(Exception):
    """The connection broke during a submission: it may have arrived, or not."""


class Broken(Exception):
    """The connection broke, or the hub is down for a moment."""


@contextlib.contextmanager
def explained(method: str, *, server: str, profile: str) -> Iterator[None]:
    """Turn what Koji's library raises into one clear error.

    Args:
        method: the method that is called.
        server: the hub's address.
        profile: the name of the profile that leads there.

    Raises:
        Broken: the connection broke, or the hub is down for a moment.
        RemoteError: the hub refused, or is not one.
    """
    import koji
    import requests

    try:
        yield
    except BuildError:
        raise
    except requests.exceptions.SSLError as error:
        raise RemoteError(
            f"{server}: the certificate is not trusted: {reason(error)}",
            hint="set serverca in the profile",
        ) from error
    except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
        raise Broken(reason(error)) from error
    except requests.exceptions.HTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status >= 500:
            raise Broken(f"HTTP {status}") from error
        raise RemoteError(
            f"{server}: HTTP {status}", hint="is this the address of a hub? it ends in /kojihub"
        ) from error
    except (requests.exceptions.RequestException, ssl.SSLError, OSError) as error:
        raise Broken(reason(error)) from error
    except koji.ServerOffline as error:
        raise Broken(f"the hub is offline: {first_line(error)}") from error
    except koji.RetryError as error:
        # The hub saw this call before: the first answer was lost on the way.
        raise Broken(first_line(error)) from error
    except koji.ActionNotAllowed as error:
        raise RemoteError(
            f"{server}: {method} is not allowed: {first_line(error)}",
            hint="ask the hub's administrators for the permission",
        ) from error
    except koji.AuthError as error:
        raise RemoteError(
            f"{server}: the login failed: {first_line(error)}",
            hint=f"see authtype, principal and cert of the profile {profile}",
        ) from error
    except koji.GenericError as error:
        raise RemoteError(f"{server}: {method}: {first_line(error)}") from error
    except (ExpatError, ValueError, TypeError, KeyError) as error:
        raise RemoteError(
            f"{server}: {method}: the answer is not a Koji hub's ({type(error).__name__})",
            hint="is this the address of a hub? it ends in /kojihub",
        ) from error


def first_line(error: Exception) -> str:
    """Return the first line of what an error says."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def reason(error: Exception) -> str:
    """Return the innermost reason of a failed connection, without the layers around it."""
    inner: BaseException = error
    seen = 0
    while seen < 10:
        seen += 1
        below = getattr(inner, "reason", None) or next(
            (value for value in inner.args if isinstance(value, BaseException)), None
        )
        if not isinstance(below, BaseException):
            break
        inner = below
    text = str(getattr(inner, "strerror", None) or inner).strip().rpartition(": ")[2]
    text = re.sub(r"^\[Errno \d+\] | \(_ssl\.c:\d+\)$", "", text)
    return text.rstrip(".").lower() or type(error).__name__
