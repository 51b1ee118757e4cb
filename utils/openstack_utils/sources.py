# SPDX-License-Identifier: MIT
"""The files that a service reads its configuration from, in their order: what is read last wins.

The unit that is installed here knows best; without one the catalogue says how ours starts the program. A
program without --config-file reads /etc/PROJECT/PROJECT.conf and PROGRAM.conf, or the files that its own
code looks for; without --config-dir also the folders PROJECT.conf.d and PROGRAM.conf.d, which come before the
files of the command line and after the default ones (oslo.config, ConfigOpts._parse_config_files).
"""

import glob
import os
import shlex
from typing import NamedTuple

from .errors import MissingError, UsageError
from .services import UNITS, load_services

KINDS = {"--config-file": "file", "--config-dir": "folder"}


class Reading(NamedTuple):
    """What a service reads: its unit, and the files that are there, in their order."""

    unit: str
    files: tuple


def of_service(word, locate=str):
    """Return the Reading of the service `word` (nova-compute, openstack-nova-compute).

    locate: gives the path, in this run, of a file or folder of the host.

    Raises UsageError for an unknown service, MissingError where none of its files is there.
    """
    project, unit, facts = _find(word)
    files = _files(project, unit, facts, locate)
    if not files:
        raise MissingError("no file of %s is here" % unit, hint="install its package first")
    return Reading(unit, files)


def of_file(path, project, release=None, locate=str):
    """Return the Readings of the services of a project that read a file.

    path: where the file is in this run. release: None means the newest in which a service reads it. Where
    none does, a program without arguments is taken to do so.
    """
    releases = load_services()["projects"].get(project, {"releases": {}})["releases"]
    for name in [release] if release else reversed(list(releases)):
        services = releases.get(name, {}).get("services", {})
        found = [Reading(unit, _files(project, unit, facts, locate)) for unit, facts in services.items()]
        found = [reading for reading in found if path in reading.files]
        if found:
            return found
    files = order(project, project, [], locate)
    return [Reading("", files if path in files else (path,))]


def order(project, program, given, locate=str):
    """Return the files that are there, in the order in which oslo.config reads them.

    given: pairs of "file" or "folder" and a path, as the command line has them; of "default" and one, as the
    program's own code looks for it.
    """
    names = list(dict.fromkeys([project, program]))
    kinds = {kind for kind, _ in given}
    found = [path for kind, path in given if kind == "default"]
    if not kinds.intersection(["file", "default"]):
        found = ["/usr/share/%s/%s-dist.conf" % (project, project)]
        found += ["/etc/%s/%s.conf" % (project, name) for name in names]
    found = [locate(path) for path in found]
    if "folder" not in kinds:
        found += in_folders([locate("/etc/%s/%s.conf.d" % (project, name)) for name in names])
    for kind, path in given:
        if kind != "default":
            found += [locate(path)] if kind == "file" else in_folders([locate(path)])
    return tuple(path for path in dict.fromkeys(found) if os.path.isfile(path))


def in_folders(folders):
    """Return the files *.conf of folders, by name in each."""
    return [
        path for folder in folders for path in sorted(glob.glob(os.path.join(glob.escape(folder), "*.conf")))
    ]


def _find(word):
    """Return (project, unit, facts of services.json) of a service."""
    import difflib

    data, names = load_services(), []
    for release in reversed(list(data["releases"])):
        for project, each in data["projects"].items():
            for unit, facts in each["releases"].get(release, {}).get("services", {}).items():
                known = [unit] + list(facts["aliases"])
                if word in known + [name.partition("openstack-")[2] for name in known]:
                    return project, unit, facts
                names += known
    near = difflib.get_close_matches(word, names, 1, 0.5)
    raise UsageError('unknown service "%s"' % word, hint="did you mean %s?" % near[0] if near else None)


def _files(project, unit, facts, locate):
    """Return the files of a service of the catalogue."""
    argv, environment = _started(unit, locate)
    defaults = [tuple(pair) for pair in facts["reads"] if pair[0] == "default"]
    if argv is None:
        return order(project, facts["program"], [tuple(pair) for pair in facts["reads"]], locate)
    # In a web server the application has no arguments, and the name that its code gives it.
    is_hosted = bool(facts["scripts"])
    program = facts["program"] if is_hosted else os.path.basename(argv[0])
    given = _of_environment(project, environment, defaults) if is_hosted else _given(argv)
    return order(project, program, given, locate)


def _started(unit, locate):
    """Return how a unit and its drop-ins start it: (the words of the last ExecStart=, the environment).

    The words are None where there is no such unit.
    """
    paths = [os.path.join(locate(folder), unit + ".service") for folder in UNITS]
    paths = [path for path in paths if os.path.isfile(path)][:1]
    if not paths:
        return None, {}
    for folder in reversed(UNITS):
        paths += in_folders([os.path.join(locate(folder), unit + ".service.d")])
    words, environment = None, {}
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read().replace("\\\n", " ")
        for line in text.splitlines():
            key, _, value = line.partition("=")
            if key == "ExecStart" and value.strip():
                words = value
            elif key == "Environment":
                pairs = [word.partition("=") for word in _split(value) or ()]
                environment.update((name, value) for name, _, value in pairs)
    return (_split(words.lstrip("-@:+!")) if words else None), environment


def _split(text):
    """Return the words of a line of a unit, None where its quotes do not match."""
    try:
        return shlex.split(text)
    except ValueError:
        return None


def _of_environment(project, environment, defaults):
    """Return the default files that the variables of an application name, `defaults` without any.

    OS_NOVA_CONFIG_DIR and OS_NOVA_CONFIG_FILES: nova/api/openstack/wsgi_app.py, and alike in the others.
    """
    prefix = "OS_%s_CONFIG_" % project.upper()
    folder = environment.get(prefix + "DIR", "").strip()
    names = [name.strip() for name in environment.get(prefix + "FILES", "").split(";") if name.strip()]
    if not folder and not names:
        return defaults
    folder = folder or "/etc/%s" % project
    if not names:
        own = "/etc/%s/" % project
        names = [path[len(own) :] for _, path in defaults] or [project + ".conf"]
    return [("default", os.path.join(folder, name)) for name in names]


def _given(argv):
    given = []
    for index, word in enumerate(argv):
        option, equals, value = word.partition("=")
        if option in KINDS and (equals or index + 1 < len(argv)):
            given.append((KINDS[option], value if equals else argv[index + 1]))
    return given
