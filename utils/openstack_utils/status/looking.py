# SPDX-License-Identifier: MIT
"""Looks at everything at once, as often as it is asked."""

import time

from .asking import ask
from .cloud import Cloud, find_login
from .probes import make_probes
from .report import make_report
from .scene import Scene


class Looker:
    """Looks as the options say; the login is found once."""

    def __init__(self, options, known, environment):
        """Raises UsageError, UtilityError for a login that cannot be read."""
        self.options = options
        self.known = known
        self.login = find_login(options.os_cloud, environment) if options.api else None
        self.interface = environment.get("OS_INTERFACE") or "public"

    def look(self):
        """Return a Report. Raises UsageError for a project that is not known."""
        started = time.monotonic()
        cloud = Cloud(self.login, self.interface) if self.login else None
        scene = Scene(self.options, self.known, cloud)
        if cloud is None and self.options.api:
            why = "no OS_* variables for a login, and no --os-cloud"
            scene.left_out.append("users, images, servers and agents: %s" % why)
        answers = ask(make_probes(scene), self.options.timeout)
        return make_report(scene, answers, time.monotonic() - started)
