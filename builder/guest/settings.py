# SPDX-License-Identifier: MIT
"""YAML of an image, with bounds: aliases of aliases stand for more values than any machine holds."""

from __future__ import annotations

from typing import Any

import yaml

from builder import yaml_text
from builder.guest.outcome import not_done

# Bytes, and values once every alias is what it stands for: cloud.cfg has 5 kB and some hundred.
LARGEST = 256 << 10
MOST_VALUES = 50_000


def read_yaml(text: str, path: str) -> Any:
    """Return the plain data of a YAML text.

    Raises:
        CannotCheck: it is not YAML, or larger than any that people write.
    """
    if len(text) > LARGEST:
        raise not_done(f"{path} holds more than {LARGEST >> 10} KiB")
    try:
        value = yaml_text.load(text)
    except yaml.YAMLError as error:
        raise not_done(f"{path} is not YAML: {error}") from error
    waiting, count = [value], 0
    while waiting:
        one = waiting.pop()
        count += 1
        if count > MOST_VALUES:
            raise not_done(f"{path} stands for more than {MOST_VALUES} values")
        waiting += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
    return value
