# SPDX-License-Identifier: MIT
"""A cloud: its configuration (clouds.yaml, OS_*), its session, and what its failures mean to a user.

openstacksdk reads the configuration, keystoneauth holds the session; both are imported when used, they
take half a second. No secret is ever part of a message.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from builder.errors import BuildError, InputError, RemoteError
from builder.report import Report

# Seconds without a byte in either direction before a request is given up.
TIMEOUT = 60.0


class ConnectionLost(RemoteError):
    """The cloud cannot be reached, or the connection broke: it may be worth another try."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The answer to a request: HTTP status, decoded JSON (or None), what an error said, headers."""

    status: int
    value: Any
    reason: str
    headers: Mapping[str, str]


class Cloud:
    """An authenticated session with the image service of one cloud.

    Args:
        name: how the user calls the cloud.
        session: a keystoneauth session.
        endpoint: of the Image API, ending in /v2.
        project_id: the project that the session is for.
    """

    def __init__(self, name: str, session: Any, endpoint: str, project_id: str) -> None:
        self.name = name
        self.endpoint = endpoint
        self.project_id = project_id
        self._session = session

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        data: Any = None,
        content_type: str = "application/json",
        timeout: float = TIMEOUT,
    ) -> Answer:
        """Send one request to the Image API; any HTTP status is an answer.

        Args:
            path: below the endpoint, beginning with a slash.
            body: JSON to send, or
            data: bytes to send, as an iterable with a length.

        Raises:
            ConnectionLost: no answer.
            RemoteError: the session cannot be renewed, or TLS fails.
        """
        # keystoneauth writes what it sends to the debug log: not the image, and nothing secret.
        arguments: dict[str, Any] = {"raise_exc": False, "log": False, "timeout": timeout}
        arguments["headers"] = {"Content-Type": content_type} if body is not None or data is not None else {}
        if body is not None:
            arguments["json"] = body
        if data is not None:
            arguments["data"] = data
        with told(self.name):
            response = self._session.request(self.endpoint + path, method, **arguments)
        try:
            value = response.json() if response.content else None
        except ValueError:
            value = None
        return Answer(
            status=response.status_code,
            value=value,
            reason=_reason(response.text) if response.status_code >= 400 else "",
            headers={key.lower(): text for key, text in response.headers.items()},
        )


def connect(name: str | None, report: Report) -> Cloud:
    """Authenticate with the cloud `name` (None: OS_CLOUD, or the OS_* variables).

    Raises:
        InputError: no such cloud, no credentials, or incomplete ones.
        RemoteError: refused, unreachable, or without an image service.
    """
    import openstack.config
    from keystoneauth1 import exceptions
    from openstack.exceptions import ConfigException

    for logger in ("keystoneauth", "openstack", "urllib3"):
        # Without a handler Python would write their warnings to the terminal itself.
        logging.getLogger(logger).addHandler(logging.NullHandler())
    try:
        loader = openstack.config.OpenStackConfig(app_name="openstack-builder")
    except ConfigException as error:
        raise InputError(_first_line(error), hint="correct the file") from error
    wanted = name or os.environ.get("OS_CLOUD") or None
    known = sorted(set(loader.get_cloud_names()) - {"defaults", "envvars"})
    if wanted and wanted not in loader.get_cloud_names():
        near = difflib.get_close_matches(wanted, known, n=1)
        raise InputError(
            f"no cloud {wanted} in {_config_file(loader)}",
            hint=f"did you mean {near[0]}?" if near else f"there are: {', '.join(known) or 'none'}",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = loader.get_one(cloud=wanted)
    except (ConfigException, exceptions.ClientException) as error:
        if not wanted and "OS_AUTH_URL" not in os.environ:
            raise InputError(
                "no credentials: neither a cloud in clouds.yaml nor OS_AUTH_URL",
                hint=f"name one with --cloud: {', '.join(known)}"
                if known
                else "write a clouds.yaml, or set OS_*",
            ) from error
        raise InputError(
            f"cloud {wanted or '(OS_*)'}: {_first_line(error)}", hint="complete the cloud's auth"
        ) from error
    label = str(wanted or config.name or "(OS_*)")
    if config.config.get("verify") is False:
        report.warn(f"cloud {label}: certificates are not checked (verify: false)")
    return _authenticate(config, label)


def _authenticate(config: Any, label: str) -> Cloud:
    with told(label):
        session = config.get_session()
        session.get_token()
        endpoint = config.get_endpoint("image") or session.get_endpoint(
            service_type="image",
            interface=config.get_interface("image"),
            region_name=config.get_region_name("image"),
        )
        project_id = session.get_project_id()
    if not endpoint:
        region = config.get_region_name("image")
        raise RemoteError(
            f"cloud {label}: no image service in its catalog" + (f" for region {region}" if region else ""),
            hint="check region_name and interface of the cloud",
        )
    if not project_id:
        raise InputError(f"cloud {label}: the credentials name no project", hint="set project_name")
    endpoint = endpoint.rstrip("/")
    # The catalog holds the root or a version; all we ask of it is version 2.
    endpoint = re.sub(r"/v\d+(\.\d+)?$", "", endpoint) + "/v2"
    return Cloud(label, session, endpoint, project_id)


@contextmanager
def told(cloud: str) -> Iterator[None]:
    """Turn keystoneauth's exceptions into errors that say what to do."""
    from keystoneauth1 import exceptions

    try:
        with warnings.catch_warnings():
            # Of urllib3 at each request for `verify: false`, which connect() has told once; of
            # openstacksdk to its own developers.
            warnings.simplefilter("ignore")
            yield
    except BuildError:
        raise
    except exceptions.SSLError as error:
        raise RemoteError(
            f"cloud {cloud}: TLS: {_first_line(error)}",
            hint="set cacert of the cloud to the file of its authority (or verify: false, to trust anybody)",
        ) from error
    except exceptions.Unauthorized as error:
        raise RemoteError(
            f"cloud {cloud}: the credentials are refused (HTTP 401)",
            hint="check user, password, project and domains of the cloud",
        ) from error
    except exceptions.Forbidden as error:
        raise RemoteError(
            f"cloud {cloud}: forbidden (HTTP 403): {_first_line(error)}", hint="ask for a role in the project"
        ) from error
    except (exceptions.ConnectionError, exceptions.DiscoveryFailure) as error:
        raise ConnectionLost(
            f"cloud {cloud}: {_network_reason(error)}", hint="check the address, the network and the proxy"
        ) from error
    except (
        exceptions.MissingRequiredOptions,
        exceptions.NoMatchingPlugin,
        exceptions.MissingAuthPlugin,
    ) as error:
        raise InputError(f"cloud {cloud}: {_first_line(error)}", hint="complete the cloud's auth") from error
    except exceptions.ClientException as error:
        raise RemoteError(f"cloud {cloud}: {_first_line(error)}") from error
    except Exception as error:
        # keystoneauth1/identity/generic/password.py: raise Exception('password is a required attribute')
        if type(error) is not Exception:
            raise
        raise InputError(f"cloud {cloud}: {_first_line(error)}", hint="complete the cloud's auth") from error


def _config_file(loader: Any) -> str:
    return str(loader.config_filename or "clouds.yaml (there is none)")


def _network_reason(error: Exception) -> str:
    """Return the one sentence in a chain of wrapped network errors that tells most."""
    text = " ".join(str(error).split())
    url = re.search(r"https?://[^\s'\":]+(:\d+)?", text)
    where = url.group(0) if url else ""
    for words in ("Connection refused", "Name or service not known", "No route to host", "timed out",
                  "Network is unreachable", "Connection reset", "Broken pipe", "closed connection",
                  "Connection aborted"):  # fmt: skip
        if words.lower() in text.lower():
            return f"{where}: {words.lower()}" if where else words.lower()
    return _first_line(error)


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(". ")


def _reason(text: str) -> str:
    """Return what the body of an error says, without its HTML and its headline."""
    text = re.sub(r"(?s)<head>.*?</head>|<h1>.*?</h1>", " ", text)
    text = " ".join(re.sub(r"<[^>]+>", " ", text).split())
    return text[:300].rstrip(". ")
