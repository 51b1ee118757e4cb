# SPDX-License-Identifier: MIT
"""JSON that others wrote: what it says, or one kind of error."""

import json


def parse(text):
    """Return what a text says, str or UTF-8 bytes.

    Raises ValueError: it is not JSON, not UTF-8, or nested more deeply than Python's parser goes.
    """
    try:
        return json.loads(text if isinstance(text, str) else text.decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
