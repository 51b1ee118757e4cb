# SPDX-License-Identifier: MIT
"""clouds.yaml: which file counts, and what is wrong in it, with file and line.

openstacksdk skips a file that is missing, broken or unreadable and takes the next one, or OS_*: then another
cloud would get the image. So the file that ought to count is looked at first (openstacksdk,
doc/source/user/config/configuration.rst: the order of the places).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from builder import yaml_text
from builder.errors import InputError, Problem
from builder.schema import show_path

FILE_VARIABLE = "OS_CLIENT_CONFIG_FILE"
SECURE_VARIABLE = "OS_CLIENT_SECURE_FILE"


@dataclass(frozen=True, kw_only=True, slots=True)
class CloudsFile:
    """A clouds.yaml (or secure.yaml) that has the shape it ought to have."""

    path: Path
    node: yaml.MappingNode

    def where(self, cloud: str, *keys: str) -> str | None:
        """Return "file:line" of a setting of a cloud, None where the file does not have it."""
        node: yaml.Node | None = self.node
        for key in ("clouds", cloud, *keys):
            node = _child(node, key)
            if node is None:
                return None
        assert node is not None
        return f"{show_path(self.path)}:{node.start_mark.line + 1}"


def find_files(places: Sequence[str], secure_places: Sequence[str]) -> tuple[CloudsFile, ...]:
    """Return clouds.yaml and secure.yaml as openstacksdk will read them, as far as they exist.

    Args:
        places: where clouds.yaml may be, in order, without what the environment names.
        secure_places: the same for secure.yaml.

    Raises:
        InputError: the file is missing though the environment names it, cannot be read, or has another shape.
    """
    named = ((FILE_VARIABLE, places), (SECURE_VARIABLE, secure_places))
    found = (_find(variable, each) for variable, each in named)
    return tuple(file for file in found if file is not None)


def _find(variable: str, places: Sequence[str]) -> CloudsFile | None:
    given = os.environ.get(variable)
    if given:
        if not os.path.exists(given):
            raise InputError(
                f"{variable}: {given} does not exist", hint=f"correct the variable, or: unset {variable}"
            )
        return read(Path(given))
    there = next((place for place in places if os.path.exists(place)), None)
    return read(Path(there)) if there else None


def read(path: Path) -> CloudsFile:
    """Return the file `path`.

    Raises:
        InputError: it cannot be read, is not YAML, or has another shape; every mistake is reported.
    """
    shown = show_path(path)
    try:
        node = yaml_text.compose(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{shown}: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{shown}: not UTF-8 text") from error
    except yaml.YAMLError as error:
        line, reason = yaml_text.fault(error)
        raise InputError(f"{shown}:{line}: not YAML: {reason}") from error
    problems = list(_problems(node, shown))
    if problems:
        raise InputError(problems=problems)
    assert isinstance(node, yaml.MappingNode)
    return CloudsFile(path=path, node=node)


def _problems(root: yaml.Node | None, shown: str) -> Iterator[Problem]:
    hint = "a clouds.yaml has the key clouds, below it each cloud by its name, below that auth: and more"
    if root is None:
        yield Problem(where=shown, message="the file is empty", hint=hint)
        return
    if not isinstance(root, yaml.MappingNode):
        yield Problem(where=_at(shown, root), message="expected a mapping with the key clouds", hint=hint)
        return
    clouds = _child(root, "clouds")
    if clouds is None:
        yield Problem(where=_at(shown, root), message='the key "clouds" is missing', hint=hint)
    elif not isinstance(clouds, yaml.MappingNode):
        yield Problem(where=_at(shown, clouds), message="clouds: expected a mapping", hint=hint)
    else:
        for key, cloud in clouds.value:
            yield from _problems_of_cloud(str(key.value), cloud, shown)


def _problems_of_cloud(name: str, cloud: yaml.Node, shown: str) -> Iterator[Problem]:
    if not isinstance(cloud, yaml.MappingNode):
        yield Problem(where=_at(shown, cloud), message=f"cloud {name}: expected a mapping")
        return
    for key in ("auth", "regions", "profile", "region_name", "cacert", "auth_type"):
        node = _child(cloud, key)
        form = {"auth": yaml.MappingNode, "regions": yaml.SequenceNode}.get(key, yaml.ScalarNode)
        # A vendor's profile may be written out in place.
        if node is not None and not isinstance(node, form) and key != "profile":
            wanted = {"auth": "a mapping", "regions": "a list"}.get(key, "text")
            yield Problem(where=_at(shown, node), message=f"cloud {name}: {key}: expected {wanted}")
    auth = _child(cloud, "auth")
    if isinstance(auth, yaml.MappingNode):
        for key_node, node in auth.value:
            if not isinstance(node, yaml.ScalarNode):
                message = f"cloud {name}: auth: {key_node.value}: expected text"
                yield Problem(where=_at(shown, node), message=message)
    for keys in (("auth", "auth_url"), ("image_endpoint_override",)):
        node = cloud
        for key in keys:
            node = _child(node, key) or yaml.ScalarNode("", "https://")
        if isinstance(node, yaml.ScalarNode) and not node.value.startswith(("http://", "https://")):
            yield Problem(
                where=_at(shown, node),
                message=f"cloud {name}: {keys[-1]} is not an address",
                hint="it must begin with https:// (or http://)",
            )


def _child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    """Return the value of a key of a mapping; the last where it is given twice, as YAML readers do."""
    if not isinstance(node, yaml.MappingNode):
        return None
    found = [value for name, value in node.value if isinstance(name, yaml.ScalarNode) and name.value == key]
    return found[-1] if found else None


def _at(shown: str, node: yaml.Node) -> str:
    return f"{shown}:{node.start_mark.line + 1}"
