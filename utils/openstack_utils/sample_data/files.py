# SPDX-License-Identifier: MIT
"""The files that a run leaves: keystonerc_USER, ec2rc, an entry of clouds.yaml."""

import os

from ..errors import AccessError, UsageError, UtilityError, reason_of
from ..storage.descriptors import check_regular
from ..storage.private_files import write_private
from ..storage.work_files import remove_stale_in
from ..yaml_file import import_yaml, translated_errors
from . import rcfiles
from .profiles import identity_urls


def check_folder(options):
    """Make the folder for files if it is not there, and remove what killed runs left in it."""
    folder = options.output
    if options.dry_run:
        return
    try:
        os.makedirs(folder, exist_ok=True)
        remove_stale_in(folder)
    except OSError as error:
        raise UtilityError("%s: %s" % (folder, reason_of(error))) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise AccessError("%s: permission denied" % folder, hint="--output names another folder")


def check_clouds_file(path):
    """Raise UsageError for a clouds.yaml that entries could not be added to. Nothing is written."""
    if not path or not os.path.exists(path):
        return
    check_regular(path, os.path.realpath(path))
    yaml = import_yaml(path)
    text = _read(path)
    probe = {"openstack-utils-probe": {"auth": {"auth_url": "http://localhost:5000/v3"}}}
    merged = _insert(text, rcfiles.render_entries(probe))
    if merged is None or _load(yaml, path, merged) != dict(_load(yaml, path, text), **probe):
        message = "%s: no line `clouds:` that entries can be added below" % path
        raise UsageError(message, hint="write a new file with --clouds-file, and merge by hand")


def _read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except UnicodeDecodeError:
        raise UsageError("%s: not UTF-8 text" % path) from None
    except OSError as error:
        raise UtilityError("%s: %s" % (path, reason_of(error))) from None


def write(path, text):
    """Write a private file; return whether it has changed."""
    return write_private(path, text)


class Writer:
    """Writes the files of one run; `write` returns the paths of those that changed."""

    def __init__(self, options, choices, desired, console):
        self.options = options
        self.console = console
        self.desired = desired
        self.people = [user for user in desired.users if user.home and user.password]
        self.place = {
            "url": identity_urls(choices)["public"],
            "domain": options.domain or "default",
            "region": choices.region,
            "cacert": options.cacert or os.environ.get("OS_CACERT") or None,
        }
        self.written = []

    def write(self, outcomes, state, session):
        """Write what was asked for."""
        known = self._known_passwords(outcomes, state, session)
        if not self.options.no_files:
            for user in self.people:
                self._keystonerc(user, user.name in known)
            self._ec2rc(outcomes)
        if self.options.clouds_file:
            self._clouds_file()
        return self.written

    def _known_passwords(self, outcomes, state, session):
        """Return the names of users whose password is known to be the wanted one."""
        known = {name for name, right in state.passwords.items() if right}
        for outcome in outcomes:
            if outcome.step.kind != "user":
                continue
            changed = any(change[0] == "password" for change in outcome.step.changes)
            if outcome.result == "created" or (outcome.result == "updated" and changed):
                known.add(outcome.step.wanted.name)
            # Whoever has logged in has shown the password.
            if session.user_id and (outcome.found or {}).get("id") == session.user_id:
                known.add(outcome.step.wanted.name)
        return known

    def _keystonerc(self, user, is_known):
        path = os.path.join(self.options.output, "keystonerc_" + user.name.replace("/", "_"))
        if not is_known and os.path.exists(path):
            self.console.detail("kept       %s" % path)
            return
        if not is_known:
            self.console.warn("%s: the password of %s was not tested; --update does it" % (path, user.name))
        text = rcfiles.render_keystonerc(user.name, user.password, user.home, **self.place)
        self._write(path, text)

    def _ec2rc(self, outcomes):
        found = [each for each in outcomes if each.step.kind == "ec2 credentials" and each.found]
        credentials = [(each.step.wanted.user, each.found["access"], each.found["secret"]) for each in found]
        if credentials:
            self._write(os.path.join(self.options.output, "ec2rc"), rcfiles.render_ec2rc(credentials))

    def _clouds_file(self):
        """Add the accounts to a clouds.yaml; other lines of it, comments too, stay as they are."""
        path = self.options.clouds_file
        clouds = {}
        for user in self.people:
            name = self.options.cloud_name + ("" if user.name == "admin" else "-" + user.name)
            clouds[name] = rcfiles.cloud_of(user.name, user.password, user.home, **self.place)
        if not os.path.exists(path):
            self._write(path, rcfiles.render_clouds(clouds))
            return
        yaml = import_yaml(path)
        text = _read(path)
        there = _load(yaml, path, text)
        new = {name: cloud for name, cloud in clouds.items() if name not in there}
        other = [name for name in clouds if name in there and there[name] != clouds[name]]
        for name in other:
            self.console.warn("%s: cloud %s exists and differs; it is left as it is" % (path, name))
        if new:
            merged = _insert(text, rcfiles.render_entries(new))
            if merged is None or _load(yaml, path, merged) != dict(there, **new):
                message = "%s: has no line `clouds:`, below which clouds %s could go" % (path, ", ".join(new))
                raise UtilityError(message, hint="write a new file with --clouds-file, and merge by hand")
            self._write(path, merged)

    def _write(self, path, text):
        if write_private(path, text):
            self.written.append(path)
            self.console.note("written    %s" % path)


def _load(yaml, path, text):
    with translated_errors(path):
        content = yaml.safe_load(text) or {}
    clouds = content.get("clouds") or {} if isinstance(content, dict) else None
    if not isinstance(clouds, dict):
        raise UsageError("%s: not a clouds.yaml" % path)
    return clouds


def _insert(text, entries):
    """Return the text with entries after its line `clouds:`, or None if it has none of that form."""
    lines = text.splitlines(keepends=True)
    for index, line in enumerate(lines):
        if line.split("#")[0].rstrip() == "clouds:":
            head = "".join(lines[: index + 1])
            return (head if head.endswith("\n") else head + "\n") + entries + "".join(lines[index + 1 :])
    return None
