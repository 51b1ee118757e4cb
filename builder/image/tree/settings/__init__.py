# SPDX-License-Identifier: MIT
"""What a kickstart sets in the tree: the module of a subject has the name of its module in the plan.

`builder.kickstart.settings.locale` says what Locale holds, `locale` here has `apply(build, locale)`.
"""

from __future__ import annotations

import importlib

from builder.image.build import Build
from builder.kickstart.commands import SETTINGS
from builder.kickstart.plan import Setting

# Loaded at once: a module that is missing is an error before a build begins.
_MODULES = {
    kind: importlib.import_module(f"{__name__}.{kind.__module__.rpartition('.')[2]}") for kind in SETTINGS
}


def apply(build: Build, setting: Setting) -> None:
    """Set in the tree what a setting of the plan says.

    Raises:
        InputError: the image lacks what is needed for it, or its programs refuse it.
    """
    _MODULES[type(setting)].apply(build, setting)
