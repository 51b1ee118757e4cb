# SPDX-License-Identifier: MIT
"""The file of passwords: made once with mode 0600, and completed by later runs; no password is shown."""

import os
import shlex

from ..errors import UsageError
from ..host.passwords import generate
from ..sample_data.passwords import read_passwords
from ..storage.private_files import write_private

HEAD = "# Made by openstack-demo-install: source it, and keep it private: the passwords are nowhere else.\n"


def read(path):
    """Return {variable: password} of the file, {} when it is not there. Raises UtilityError."""
    return read_passwords(path, None) if os.path.exists(path) else {}


def complete(path, names, there):
    """Write what is missing; return {variable: password} of all, and whether the file has changed."""
    values = dict(there)
    for name in names:
        if not values.get(name):
            values[name] = generate()
    lines = ["%s=%s\n" % (name, shlex.quote(value)) for name, value in sorted(values.items())]
    return values, (values != there and write_private(path, HEAD + "".join(lines)))


def need(path, names, there, controller):
    """Raise UsageError unless the file has all `names`: another host's cannot be made here."""
    missing = [name for name in names if not there.get(name)]
    if missing:
        hint = "copy it from the controller: scp root@%s:%s %s" % (controller, path, path)
        raise UsageError("%s: no %s" % (path, ", ".join(missing)), hint=hint)
