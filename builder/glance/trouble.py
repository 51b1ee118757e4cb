# SPDX-License-Identifier: MIT
"""What the failures of keystoneauth and of HTTP mean to a user. No secret is ever part of a message."""

from __future__ import annotations

import html
import os
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from builder.errors import BuildError, InputError, RemoteError
from builder.masking import mask


class ConnectionLost(RemoteError):
    """The cloud cannot be reached, or the connection broke: it may be worth another try."""


@contextmanager
def explained(cloud: str) -> Iterator[None]:
    """Turn keystoneauth's exceptions into errors that say what to do."""
    from keystoneauth1 import exceptions

    try:
        yield
    except BuildError:
        raise
    except exceptions.SSLError as error:
        raise RemoteError(
            f"cloud {cloud}: TLS: {first_line(error)}",
            hint="set cacert of the cloud to the file of its authority (or verify: false, to trust anybody)",
        ) from error
    except exceptions.Unauthorized as error:
        raise RemoteError(
            f"cloud {cloud}: the credentials are refused (HTTP 401)",
            hint="check user, password, project and domains of the cloud",
        ) from error
    except exceptions.Forbidden as error:
        raise RemoteError(
            f"cloud {cloud}: forbidden (HTTP 403): {first_line(error)}", hint="ask for a role in the project"
        ) from error
    except (exceptions.ConnectionError, exceptions.DiscoveryFailure) as error:
        raise _lost(cloud, error) from error
    except (
        exceptions.MissingRequiredOptions,
        exceptions.NoMatchingPlugin,
        exceptions.MissingAuthPlugin,
    ) as error:
        raise InputError(f"cloud {cloud}: {first_line(error)}", hint="complete the cloud's auth") from error
    except exceptions.EmptyCatalog as error:
        raise RemoteError(
            f"cloud {cloud}: its catalog is empty for this user and project", hint="check project_name"
        ) from error
    except exceptions.ClientException as error:
        raise RemoteError(f"cloud {cloud}: {first_line(error)}") from error
    except Exception as error:
        # keystoneauth1/identity/generic/password.py: raise Exception('password is a required attribute')
        if type(error) is not Exception:
            raise
        raise InputError(f"cloud {cloud}: {first_line(error)}", hint="complete the cloud's auth") from error


def first_line(error: Exception) -> str:
    """Return what an exception says in one line, without a login in an address and without HTML."""
    return plain(str(error))


def plain(text: str) -> str:
    """Return what the body of an error says, without its HTML and its headline, in one line."""
    text = re.sub(r"(?is)<head>.*?</head>|<h1>.*?</h1>|<style.*?</style>|<script.*?</script>", " ", text)
    text = html.unescape(re.sub(r"<[^<>]+>", " ", text))
    return mask(" ".join(text.split()))[:300].rstrip(". ")


def _lost(cloud: str, error: Exception) -> ConnectionLost:
    text = " ".join(str(error).split())
    url = re.search(r"https?://[^\s'\"]+", text)
    where = _base(url.group(0)) if url else ""
    if "proxy" in text.lower() and (proxy := _proxy_for(where)):
        variable, address = proxy
        return ConnectionLost(
            f"cloud {cloud}: {where}: the proxy {address} does not answer: {_network_words(text)}",
            hint=f"the proxy comes from {variable}; no_proxy lists hosts that are reached without it",
        )
    words = _network_words(text)
    return ConnectionLost(
        f"cloud {cloud}: {where + ': ' if where else ''}{words}",
        hint="check the address, the network and the proxy",
    )


def _network_words(text: str) -> str:
    """Return the most specific text in a chain of wrapped network errors."""
    for words in ("Connection refused", "Name or service not known", "No route to host", "timed out",
                  "Network is unreachable", "Connection reset", "Broken pipe", "closed connection",
                  "Connection aborted", "Temporary failure in name resolution"):  # fmt: skip
        if words.lower() in text.lower():
            return words.lower()
    return plain(text)


def _base(url: str) -> str:
    """Return scheme, name and port of an address."""
    try:
        parts = urllib.parse.urlsplit(mask(url))
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.rstrip(':')}"


def _proxy_for(url: str) -> tuple[str, str] | None:
    """Return the variable that names the proxy for an address, and the proxy; None without one."""
    scheme = url.partition(":")[0]
    for name in (f"{scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            if os.environ.get(variable):
                return variable, mask(os.environ[variable])
    return None
