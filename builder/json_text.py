# SPDX-License-Identifier: MIT
"""JSON that others wrote: what it says, or one kind of error."""

from __future__ import annotations

import json
from typing import Any


def parse(text: str | bytes) -> Any:
    """Return what `text` says.

    Raises:
        ValueError: it is not JSON, not UTF-8, or nested more deeply than Python's parser goes.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
