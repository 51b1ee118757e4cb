# SPDX-License-Identifier: MIT
"""What a kickstart sets in the tree: the module of a subject has the name of its module in the plan.

`builder.kickstart.settings.locale` says what Locale holds, `locale` here has `apply(build, locale)`.
"""

from __future__ import annotations

import importlib

from builder.image.build import Build
from builder.kickstart.plan import Setting


def apply(build: Build, setting: Setting) -> None:
    """Set in the tree what a setting of the plan says.

    Raises:
        InputError: the image lacks what is needed for it, or its programs refuse it.
    """
    subject = type(setting).__module__.rpartition(".")[2]
    importlib.import_module(f"{__name__}.{subject}").apply(build, setting)
