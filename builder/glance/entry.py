# SPDX-License-Identifier: MIT
"""The way into a cloud: its settings (clouds.yaml, OS_*), checked before the first request, then a session.

openstacksdk reads the settings, keystoneauth holds the session; both are imported when used, they take
half a second.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from builder.errors import InputError, RemoteError
from builder.glance.cloud import Cloud
from builder.glance.clouds import CloudsFile, find_files
from builder.glance.trouble import explained, first_line
from builder.report import Report


@dataclass(frozen=True, kw_only=True, slots=True)
class CloudChoice:
    """The cloud that is meant (None: OS_CLOUD, or OS_*), and what is to be used in place of its settings."""

    cloud: str | None = None
    region: str | None = None
    project: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CloudSettings:
    """The settings of a cloud, complete as far as can be known without asking it."""

    label: str
    config: Any

    def open(self) -> Cloud:
        """Authenticate.

        Raises:
            InputError: the credentials are for no project.
            RemoteError: refused, unreachable, or without an image service.
        """
        return _authenticate(self.config, self.label)


def connect(name: str | None, report: Report) -> Cloud:
    """Authenticate with the cloud `name` (None: OS_CLOUD, or the OS_* variables).

    Raises:
        InputError: no such cloud, no credentials, or incomplete ones.
        RemoteError: refused, unreachable, or without an image service.
    """
    return find_entry(CloudChoice(cloud=name), report).open()


def find_entry(wanted: CloudChoice, report: Report) -> CloudSettings:
    """Return the settings of a cloud.

    Raises:
        InputError: no such cloud, a clouds.yaml of another shape, no credentials, or incomplete ones.
    """
    import openstack.config
    from openstack.config import loader as places
    from openstack.exceptions import ConfigException

    for logger in ("keystoneauth", "openstack", "urllib3"):
        # Without a handler Python would write their warnings to the terminal itself.
        logging.getLogger(logger).addHandler(logging.NullHandler())
    # Of urllib3 at each request for `verify: false`, which is reported once below.
    warnings.filterwarnings("ignore", message="Unverified HTTPS request")
    files = find_files(places.CONFIG_FILES, places.SECURE_FILES)
    with _heard(report):
        try:
            loader = openstack.config.OpenStackConfig(app_name="openstack-builder")
        except ConfigException as error:
            raise InputError(first_line(error), hint="correct the file") from error
        name = wanted.cloud or os.environ.get("OS_CLOUD") or None
        _check_name(name, loader)
        name = name or (loader.default_cloud if loader.default_cloud in _known(loader) else None)
        label = " ".join(filter(None, (name or "(OS_*)", wanted.region, wanted.project)))
        config = _settings(name, wanted, loader, validate=False)
        _check_settings(config, label, name or "", files)
        config = _settings(name, wanted, loader)
    if config.config.get("verify") is False:
        report.warn(f"cloud {label}: certificates are not checked (verify: false)")
    return CloudSettings(label=label, config=config)


def _check_name(name: str | None, loader: Any) -> None:
    if not name or name in loader.get_cloud_names():
        return
    known = _known(loader)
    near = difflib.get_close_matches(name, known, n=1)
    place = loader.config_filename or "clouds.yaml (there is none)"
    raise InputError(
        f"no cloud {name} in {place}",
        hint=f"did you mean {near[0]}?" if near else f"there are: {', '.join(known) or 'none'}",
    )


def _known(loader: Any) -> list[str]:
    return sorted(set(loader.get_cloud_names()) - {"defaults", "envvars"})


def _settings(name: str | None, wanted: CloudChoice, loader: Any, *, validate: bool = True) -> Any:
    from keystoneauth1 import exceptions
    from openstack.exceptions import ConfigException

    chosen: dict[str, Any] = {}
    if wanted.region:
        chosen["region_name"] = wanted.region
    if wanted.project:
        # A project by its id, or by its name of old, would count before this one.
        chosen["auth"] = {
            "project_name": wanted.project,
            "project_id": "",
            "tenant_id": "",
            "tenant_name": "",
        }
    try:
        return loader.get_one(cloud=name, validate=validate, **chosen)
    except (ConfigException, exceptions.ClientException, TypeError, AttributeError, ValueError) as error:
        if not name and "OS_AUTH_URL" not in os.environ:
            known = _known(loader)
            raise InputError(
                "no credentials: neither a cloud in clouds.yaml nor OS_AUTH_URL",
                hint=f"name one with --cloud: {', '.join(known)}"
                if known
                else "write a clouds.yaml, or set OS_*",
            ) from error
        raise InputError(
            f"cloud {name or '(OS_*)'}: {first_line(error)}", hint="complete the cloud's auth"
        ) from error


def _check_settings(config: Any, label: str, name: str, files: tuple[CloudsFile, ...]) -> None:
    """Refuse what no request can mend, naming where it stands."""

    def place(*keys: str) -> str:
        found = (where for file in files if (where := file.where(name, *keys)) is not None)
        return next(found, f"OS_{keys[-1].upper()}" if not name else f"cloud {label}")

    settings = config.config
    # What comes from OS_* stands outside auth here.
    address = str((settings.get("auth") or {}).get("auth_url") or settings.get("auth_url") or "")
    if address and not re.match(r"https?://[^/]", address):
        raise InputError(
            f"{place('auth', 'auth_url')}: auth_url is not an address",
            hint="it must begin with https:// (or http://)",
        )
    for key in ("cacert", "cert", "key"):
        file = settings.get(key)
        if file and not os.path.exists(os.path.expanduser(str(file))):
            raise InputError(f"{place(key)}: {key}: {file} does not exist", hint=f"correct {key}")
    if settings.get("auth_type") in ("none", "noauth", "admin_token"):
        raise InputError(
            f"{place('auth_type')}: auth_type {settings['auth_type']} names no project, "
            "and an image belongs to one",
            hint="leave auth_type out, and give auth_url, username, password and project_name",
        )


def _authenticate(config: Any, label: str) -> Cloud:
    with explained(label):
        session = config.get_session()
        session.get_token()
        project_id = session.get_project_id()
        if not project_id:
            raise InputError(
                f"cloud {label}: the credentials name no project",
                hint="name one: --project NAME, project_name in clouds.yaml, or OS_PROJECT_NAME",
            )
        endpoint = config.get_endpoint("image") or session.get_endpoint(
            service_type="image",
            interface=config.get_interface("image"),
            region_name=config.get_region_name("image"),
        )
    region = config.get_region_name("image")
    if not endpoint:
        raise RemoteError(
            f"cloud {label}: no image service in its catalog" + (f" for region {region}" if region else ""),
            hint="check region_name and interface of the cloud",
        )
    if not re.match(r"https?://[^/]", endpoint):
        raise RemoteError(
            f"cloud {label}: the address of its image service, {endpoint!r}, has no https://",
            hint="the cloud's administrators correct the endpoint; image_endpoint_override of the cloud "
            "names another",
        )
    # The catalog holds the root or a version; all we ask of it is version 2.
    endpoint = re.sub(r"/v\d+(\.\d+)?$", "", endpoint.rstrip("/")) + "/v2"
    compute = _compute(config, session)
    return Cloud(label, session, endpoint, project_id, compute=compute)


def _compute(config: Any, session: Any) -> str | None:
    """Return the address of Nova, None where the catalog has none."""
    from keystoneauth1 import exceptions

    try:
        address = config.get_endpoint("compute") or session.get_endpoint(
            service_type="compute",
            interface=config.get_interface("compute"),
            region_name=config.get_region_name("compute"),
        )
    except exceptions.ClientException:
        return None
    return address.rstrip("/") if address else None


@contextmanager
def _heard(report: Report) -> Iterator[None]:
    """Pass on what openstacksdk and keystoneauth warn of, each once, by logging or by warnings."""
    heard: dict[str, None] = {}

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard[" ".join(record.getMessage().split())] = None

    listener = Listener(logging.WARNING)
    loggers = [logging.getLogger(name) for name in ("openstack", "keystoneauth")]
    for logger in loggers:
        logger.addHandler(listener)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        for warning in caught:
            # Those of Python's own modules, and of what a next version will remove, are for developers.
            ours = "openstack" in warning.filename or "keystoneauth" in warning.filename
            if ours and not warning.category.__name__.startswith("RemovedIn"):
                heard[" ".join(str(warning.message).split())] = None
    finally:
        for logger in loggers:
            logger.removeHandler(listener)
        for text in heard:
            report.warn(first_line(Exception(text)))
