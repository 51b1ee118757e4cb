# SPDX-License-Identifier: MIT
"""Options of the services' configuration files, read by the ini engine; what may not be read is noted."""

import os

from .. import ini
from ..db import dropins
from ..db.catalogue import UrlOption
from ..errors import UtilityError


class Settings:
    """The files of the catalogue where they stand in this run (see db.catalogue.Places)."""

    def __init__(self, places):
        self.places = places
        self.closed = set()
        self._files = {}

    def exists(self, path):
        return os.path.exists(self.places.path(path))

    def is_closed(self, path):
        """Say whether a file is there, or its folder, and not for us to read."""
        path = self.places.path(path)
        try:
            os.stat(path)
        except PermissionError:
            return True
        except OSError:
            return False
        return not os.access(path, os.R_OK)

    def value(self, path, section, key):
        """Return the value of an option that the service reads, None where it is not set or not to be read.

        It is what the project's services read: a drop-in may win, and defaults come last (see db.dropins).
        """
        if path not in self._files:
            self._files[path] = self._read(path)
        file = self._files[path]
        value = file.value(section, key) if file is not None else None
        if not path.endswith(".conf"):
            return value
        option = UrlOption(self.places.path(path), section, key, True)
        project = os.path.basename(os.path.dirname(path))
        above, below = dropins.around(option, project, None, self.places.path)
        if above is not None:
            return above.value
        return below.value if value is None and below is not None else value

    def _read(self, path):
        if self.is_closed(path):
            self.closed.add(path)
            return None
        try:
            return ini.read(self.places.path(path))
        except UtilityError:
            return None
