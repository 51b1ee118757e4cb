# SPDX-License-Identifier: MIT
"""The files that a service reads its configuration from, in their order.

The unit that is installed here knows best; without one the catalogue says how ours starts the program. A
program without --config-file reads /etc/PROJECT/PROJECT.conf and PROGRAM.conf; without --config-dir also the
folders PROJECT.conf.d and PROGRAM.conf.d, which come before the files of the command line and after the
default ones (oslo.config, ConfigOpts._parse_config_files).
"""

import glob
import os
import shlex

from ..errors import MissingError, UsageError

UNITS = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system")
KINDS = {"--config-file": "file", "--config-dir": "folder"}


def of_service(word):
    """Return the files that the service `word` (nova-compute, openstack-nova-compute) reads.

    Raises UsageError for an unknown service, MissingError where none of its files is there.
    """
    project, unit, facts = _find(word)
    argv = _argv_of_unit(unit)
    given = _given(argv) if argv is not None else [tuple(pair) for pair in facts["reads"]]
    program = os.path.basename(argv[0]) if argv else unit.partition("openstack-")[2] or unit
    files = order(project, program, given)
    if not files:
        raise MissingError("no file of %s is here" % unit, hint="install its package first")
    return files


def order(project, program, given, etc="/etc", share="/usr/share"):
    """Return the files that are there, in the order in which oslo.config reads them.

    given: pairs of "file" or "folder" and a path, as the command line has them.
    """
    folder = os.path.join(etc, project)
    names = list(dict.fromkeys([project, program]))
    kinds = {kind for kind, _ in given}
    found = []
    if "file" not in kinds:
        found.append(os.path.join(share, project, project + "-dist.conf"))
        found += [os.path.join(folder, name + ".conf") for name in names]
    if "folder" not in kinds:
        found += in_folders([os.path.join(folder, name + ".conf.d") for name in names])
    for kind, path in given:
        found += [path] if kind == "file" else in_folders([path])
    return [path for path in dict.fromkeys(found) if os.path.isfile(path)]


def in_folders(folders):
    """Return the files *.conf of folders, by name in each."""
    return [
        path for folder in folders for path in sorted(glob.glob(os.path.join(glob.escape(folder), "*.conf")))
    ]


def _find(word):
    """Return (project, unit, facts of services.json) of a service."""
    import difflib

    from ..services import load_services

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


def _argv_of_unit(unit):
    """Return the words of the last ExecStart= of a unit and its drop-ins; None where there is none."""
    found = None
    for folder in UNITS:
        path = os.path.join(folder, unit + ".service")
        if os.path.isfile(path):
            found = path
            break
    if found is None:
        return None
    paths = [found]
    for folder in reversed(UNITS):
        paths += sorted(glob.glob(os.path.join(folder, unit + ".service.d", "*.conf")))
    words = None
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read().replace("\\\n", " ")
        for line in text.splitlines():
            if line.startswith("ExecStart=") and line.strip() != "ExecStart=":
                words = line.partition("=")[2]
    try:
        return shlex.split(words.lstrip("-@:+!")) if words else None
    except ValueError:
        return None


def _given(argv):
    given = []
    for index, word in enumerate(argv):
        option, equals, value = word.partition("=")
        if option in KINDS and (equals or index + 1 < len(argv)):
            given.append((KINDS[option], value if equals else argv[index + 1]))
    return given
