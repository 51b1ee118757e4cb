# SPDX-License-Identifier: MIT
"""What services.json says of services and of what they stand on: units, addresses, logs, folders."""

from __future__ import annotations

from collections.abc import Iterator

from builder.catalogue.model import Catalogue, Project, ProjectRelease
from builder.catalogue.order import service_order
from builder.catalogue.services import Service, uwsgi_path
from builder.catalogue.supports import Support

LOG_OPTIONS = ("--logfile", "--log-file")
# Folders of others, or in memory: a full disk there is not a matter of the service.
NOT_DATA = ("/etc/", "/run/", "/var/run/", "/usr/")
SITE_PORT = 80


def render_host_services(project: Project, release: ProjectRelease) -> dict[str, object]:
    """Return the keys `services` (in the order of their start), `site` and `folders` of a release."""
    site = release.site
    return {
        "services": {
            name: _service(project, release, release.services[name]) for name in service_order(release)
        },
        "site": {"name": site.package, "url": site.url, "port": SITE_PORT, "module": site.module.as_posix()}
        if site
        else None,
        "folders": [path for path in release.folders if not path.startswith(NOT_DATA)],
    }


def render_supports(catalogue: Catalogue) -> dict[str, object]:
    """Return the key `supports`."""
    return {support.name: _support(support) for support in catalogue.supports.values()}


def _service(project: Project, release: ProjectRelease, service: Service) -> dict[str, object]:
    return {
        "summary": service.summary,
        "aliases": list(service.aliases),
        "instances": bool(service.instance),
        "cleans_up": service.cleans_up,
        "log": next(_logs(release, service), None),
        "scripts": list(service.wsgi.scripts) if service.wsgi else [],
        "reads": [list(pair) for pair in _reads(service)],
        "program": service.wsgi.program if service.wsgi else service.run[0].rpartition("/")[2],
        "http": _http(project, release, service),
    }


def _reads(service: Service) -> Iterator[tuple[str, str]]:
    """Return what is read of configuration: ("file" or "folder", path) that the arguments name.

    The files that an application looks for by itself are those of kind "default".
    """
    for path in service.wsgi.reads if service.wsgi else ():
        yield "default", path
    kinds = {"--config-file": "file", "--config-dir": "folder"}
    for word, value in zip(service.run, service.run[1:], strict=False):
        if word in kinds:
            yield kinds[word], value


def _logs(release: ProjectRelease, service: Service) -> Iterator[str]:
    """Return the log that the arguments name, or the configuration files that they name or that there are."""
    for word, value in zip(service.run, service.run[1:], strict=False):
        if word in LOG_OPTIONS:
            yield value
    # The last file on a command line wins.
    for path, file in reversed(list(release.configuration.items())):
        named = (file.set or {}).get("DEFAULT", {}).get("log_file")
        if named and (path in service.run or len(release.services) == 1):
            yield named


def _http(project: Project, release: ProjectRelease, service: Service) -> dict[str, object] | None:
    if service.wsgi:
        option = {"file": uwsgi_path(service, project.project), "section": "uwsgi", "key": "http-socket"}
        port = release.ports[service.wsgi.port]
        return {"port": port, "path": service.wsgi.path, "option": option, "host": None}
    if service.http:
        there = service.http.option
        option = {"file": there.file, "section": there.section, "key": there.key}
        port = release.ports[service.http.port]
        return {"port": port, "path": service.http.path, "option": option, "host": service.http.host}
    return None


def _support(support: Support) -> dict[str, object]:
    return {
        "title": support.title,
        "units": list(support.units),
        "talk": support.talk,
        "port": support.port,
        "sockets": list(support.sockets),
        "start": list(support.start),
    }
