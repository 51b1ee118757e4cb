# SPDX-License-Identifier: MIT
"""The options that hold a service's URLs: reading, changing and putting back, by the ini editor."""

import hashlib
import os

from .. import ini
from ..errors import MissingError, UsageError, UtilityError
from ..storage import descriptors, inplace, transaction
from . import dropins
from .journal import Backup

SUFFIX = ".openstack-db-old"


class Files:
    """The configuration files of one service."""

    def __init__(self, service, notify=None, check=None, inplace=False):
        self.service = service
        self.notify = notify
        self.check = check
        # A file that something is mounted at cannot be replaced.
        self.inplace = inplace
        # {option: the file that wins over its own}
        self.overrides = {}

    def read(self, with_defaults=False):
        """Return {option: value as it is written, or None}; an optional option that is not set is left out.

        It is what the service itself will read: a file of a drop-in folder wins, and `with_defaults` the
        distribution's come last (see `dropins`). Raises MissingError when a file is not there.
        """
        values, files = {}, {}
        for option, _ in self.service.options:
            if option.path not in files:
                files[option.path] = self._read_one(option)
            file = files[option.path]
            value = file.value(option.section, option.key) if file else None
            service = self.service
            above, below = dropins.around(option, service.name, service.release, service.places.path)
            if above is not None:
                self.overrides[option] = above
                value = above.value
            elif with_defaults and value is None and below is not None:
                value = below.value
            if value is not None or not option.optional:
                values[option] = value
        return values

    def check_overrides(self):
        """Raise UsageError where what we would write is not what the service would read."""
        for option, found in self.overrides.items():
            message = "%s sets [%s] %s, which wins over %s" % (
                found.path, option.section, option.key, option.path,
            )  # fmt: skip
            message += " for %s" % found.unit if found.unit else ""
            hint = "move it there: openstack-config --del %s %s %s" % (found.path, option.section, option.key)
            raise UsageError(message, hint=hint)

    def _read_one(self, option):
        try:
            return ini.read(option.path)
        except MissingError as error:
            if option.optional:
                return None
            hint = "install the package of %s first, or give --release NAME" % self.service.name
            raise MissingError(error.message, hint=hint) from None

    def write(self, values, backup=True):
        """Set options, {option: text}, in all files or in none; return the Backups of those changed.

        With `backup` the old text stays next to each file until the run has ended well.
        """
        paths = list(dict.fromkeys(option.path for option in values))
        if not paths:
            return []
        suffix = SUFFIX if backup else None
        with ini.edit(
            paths, backup=suffix, exact=False, notify=self.notify, check=self.check, inplace=self.inplace
        ) as files:
            for file in files:
                for option, text in values.items():
                    if option.path == file.path:
                        _set(file, option, text)
            digests = {file.path: _digest(file.text()) for file in files}
        return [Backup(path, backup_of(path), digests[path]) for path in paths]

    def restore(self, old):
        """Put a file back as it was; only our options where somebody else has changed it since."""
        if not os.path.exists(old.backup):
            return False
        with open(old.path, "rb") as file:
            now = file.read()
        if old.digest == _digest(now):
            self._put_back(old)
            return True
        before = ini.read(old.backup)
        with ini.edit([old.path], exact=False, notify=self.notify, inplace=self.inplace) as (file,):
            for option, _ in self.service.options:
                if option.path == old.path:
                    value = before.value(option.section, option.key)
                    if value is None:
                        file.delete(option.section, option.key)
                    else:
                        file.set(option.section, option.key, value)
        os.unlink(old.backup)
        return True

    def _put_back(self, old):
        """Give a file the text of its backup again, which goes."""
        if not self.inplace:
            # The file itself, not a link to it.
            os.rename(old.backup, os.path.realpath(old.path))
            return
        with transaction.Transaction(self.notify) as opened:
            opened.open([old.path], inplace=True)[old.path].new = descriptors.read_file(old.backup)
            inplace.commit(opened)
        os.unlink(old.backup)


def backup_of(path):
    """Return the name that keeps a file's old text while a run is not finished."""
    return os.path.realpath(path) + SUFFIX


def option_value(option):
    """Return the value of an option, or None when it, or its file, is not there."""
    try:
        return ini.read(option.path).value(option.section, option.key)
    except UtilityError:
        return None


def _set(file, option, text):
    is_set = bool(file.values(option.section, option.key))
    # The example of a distribution becomes the option itself (83f9679 of openstack-utils).
    if not is_set and "://" in (file.example(option.section, option.key) or ""):
        file.uncomment(option.section, option.key)
    file.set(option.section, option.key, text)


def _digest(data):
    return hashlib.sha256(data).hexdigest()
