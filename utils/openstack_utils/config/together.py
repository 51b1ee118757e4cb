# SPDX-License-Identifier: MIT
"""The files of --service and --config-dir, read together as the service reads them."""

from ..editor.effective import Effective, normalize
from .reading import read_data


def is_asked(request):
    """Return whether a request is about files that are read together."""
    return request.option("service") is not None or request.option("config-dir") is not None


def find_files(request, paths):
    """Return the files of a request: those of --service, `paths`, then those of each --config-dir.

    Raises UsageError, MissingError.
    """
    from .. import sources

    service = request.option("service")
    files = list(sources.of_service(service).files) if service is not None else []
    return files + list(paths) + sources.in_folders(request.options.get("config-dir", ()))


def read(files, found=None):
    """Return the Effective of files, or `found` with them. Raises UsageError where oslo.config stops."""
    found = Effective() if found is None else found
    for path in files:
        found.add(path, read_data(path))
    return found


class View(Effective):
    """What --get is asked about, in place of a Reader."""

    section_index = None

    def __init__(self, files, console):
        super().__init__()
        self.console = console
        read(files, self)

    def get(self, section, name):
        """Return all values of an option; say which option of no file they name."""
        values = super().get(section, name)
        place = (normalize(section), name)
        for reference in self.value(*place)[1]:
            text = "[%s] %s: $%s is set in no file: the default of the service's code counts"
            self.console.warn(text % (place + (reference,)))
        return values
