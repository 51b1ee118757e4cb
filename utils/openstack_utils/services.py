# SPDX-License-Identifier: MIT
"""What is known of the OpenStack services: services.json, rendered from the packager's catalogue.

The RPM puts it into /usr/share/openstack-utils; in a checkout `make setup` puts it next to this module.
specs/services/README.md says what the keys mean.
"""

import os

from . import json_text
from .errors import UtilityError

FORMAT = 1
# Where unit files stand, the first wins (systemd.unit(5)).
UNITS = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system")
INSTALLED = "/usr/share/openstack-utils/services.json"


def find_services():
    """Return the path of services.json: the checkout's where this is one, else the installed one."""
    checkout = os.path.join(os.path.dirname(os.path.abspath(__file__)), "services.json")
    return checkout if os.path.exists(checkout) else INSTALLED


def load_services(path=None):
    """Return the content of services.json as dictionaries and lists.

    Raises UtilityError when it is missing, not JSON, or of a format that this version does not know.
    """
    path = path or find_services()
    try:
        with open(path, encoding="utf-8") as file:
            services = json_text.parse(file.read())
    except FileNotFoundError:
        hint = "install openstack-utils again; in a checkout run `make setup`"
        raise UtilityError("{}: no such file".format(path), hint=hint) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not JSON ({})".format(error)
        raise UtilityError("{}: {}".format(path, reason.lower())) from None
    if not isinstance(services, dict) or services.get("format") != FORMAT:
        found = services.get("format") if isinstance(services, dict) else None
        message = "{}: format {} is not {}".format(path, found, FORMAT)
        raise UtilityError(message, hint="it belongs to another version of openstack-utils")
    return services


def is_installed(facts, locate=str):
    """Return whether a project is on this host: a unit, an init script or a configuration file of it.

    facts: those of one release of the project. locate: gives where a file of the host is in this run.
    """
    return bool(installed_units(facts, locate)) or any(
        os.path.exists(locate(path)) for path in facts["configuration"]
    )


def installed_units(facts, locate=str):
    """Return the names of the services of a project that are on this host, by a unit or an init script."""
    return [
        unit
        for unit, each in facts["services"].items()
        if any(os.path.exists(locate(path)) for path in _places([unit] + list(each["aliases"])))
    ]


def _places(names):
    for name in names:
        for folder in UNITS:
            yield "%s/%s.service" % (folder, name)
        yield "/etc/init.d/" + name
