# SPDX-License-Identifier: MIT
"""What oslo-config-generator's machine-readable output says about options.

`oslo-config-generator --format json` (or yaml) lists every option a service knows. The rules by
which a value is judged follow `oslo_config/types.py`; where a type's rule is not in the
schema (a regular expression, a length) nothing is said. A value with `$` is not judged at all: it
depends on other options.
"""

import re

from .. import json_text, yaml_file
from ..editor.document import decode
from ..editor.effective import normalize
from ..errors import UsageError, UtilityError
from ..storage import descriptors

TRUE_AND_FALSE = ("true", "1", "on", "yes", "false", "0", "off", "no")
HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\Z")
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s]*")


class SchemaOption:
    """One known option: its type, limits and whether its use is deprecated."""

    def __init__(self, data):
        self.name = data["name"]
        self.kind = data.get("type") or "unknown value"
        self.least, self.most = data.get("min"), data.get("max")
        self.choices = [choice[0] for choice in data.get("choices") or ()]
        self.removed = bool(data.get("deprecated_for_removal"))
        self.reason = data.get("deprecated_reason")

    @property
    def multi(self):
        return self.kind.startswith("multi")


class Schema:
    """All options by section and name, the way a service finds them."""

    def __init__(self, data):
        self.options = {}
        self.deprecated = {}
        self.open_sections = set()
        for group, content in data["options"].items():
            known = self.options.setdefault(normalize(group), {})
            if content.get("driver_option") or content.get("dynamic_group_owner"):
                self.open_sections.add(normalize(group))
            for entry in content.get("opts", ()):
                # In a file only the underscored form counts (cfg.Opt._get_from_namespace).
                dest = entry.get("dest") or entry["name"].replace("-", "_")
                known[dest] = SchemaOption(entry)
        for group, entries in (data.get("deprecated_options") or {}).items():
            for entry in entries:
                replacement = entry["replacement_name"].replace("-", "_")
                place = (entry["replacement_group"], replacement)
                self.deprecated[normalize(group), entry["name"].replace("-", "_")] = place

    def find(self, section, name):
        """The SchemaOption of that name, or None."""
        return self.options.get(normalize(section), {}).get(name)

    def replacement(self, section, name):
        """(section, name) that replaces a deprecated option; None when it is not deprecated."""
        return self.deprecated.get((normalize(section), name))

    def nearest(self, section, name):
        """The known name nearest to an unknown one, with its section if that differs; or None."""
        import difflib

        here = self.options.get(normalize(section), {})
        if name.replace("-", "_") in here:
            return name.replace("-", "_")
        found = difflib.get_close_matches(name, sorted(here), 1, 0.7)
        if found:
            return found[0]
        for other in sorted(self.options):
            if name in self.options[other]:
                return "[%s] %s" % (other, name)
        return None

    def nearest_section(self, section):
        import difflib

        found = difflib.get_close_matches(section, sorted(self.options), 1, 0.7)
        return "[%s]" % found[0] if found else None


def load(path):
    """Read a schema; UsageError when it is none."""
    text = decode(descriptors.read_file(path))[0]
    try:
        data = json_text.parse(text) if text.lstrip().startswith("{") else _load_yaml(path, text)
        return Schema(data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            "%s: not a schema of oslo-config-generator: %s" % (path, error),
            hint="make one with: oslo-config-generator --namespace NAME --format json",
        ) from error


def _load_yaml(path, text):
    import site

    try:
        # The launcher starts without the folders of installed modules.
        site.main()
        import yaml
    except ImportError:
        raise UtilityError(
            "%s: reading YAML needs PyYAML" % path,
            hint="install python3-pyyaml, or write the schema with --format json",
        ) from None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        yaml_file.check_depth(yaml, text, loader)
        return yaml.load(text, Loader=loader)
    except yaml.YAMLError as error:
        raise ValueError(str(error).split("\n")[0]) from error


def judge(option, value):
    """Say what is wrong with `value` for `option`, or None."""
    if "$" in value:
        return None
    if option.choices and value not in option.choices:
        known = [str(choice) for choice in option.choices if choice is not None]
        if value.lower() in [choice.lower() for choice in known]:
            return None
        return "'%s' is none of %s" % (value, ", ".join(known))
    check = CHECKS.get(option.kind)
    return check(option, value) if check else None


def _judge_number(option, value):
    convert, noun = (float, "number") if option.kind.startswith("floating") else (int, "integer")
    if not value.strip():
        return None
    try:
        number = convert(value)
    except ValueError:
        return "'%s' is not %s %s" % (value, "an" if noun == "integer" else "a", noun)
    if option.least is not None and number < option.least:
        return "%s is less than %s" % (value, option.least)
    if option.most is not None and number > option.most:
        return "%s is more than %s" % (value, option.most)
    return None


def _judge_boolean(_option, value):
    if value.lower() in TRUE_AND_FALSE:
        return None
    return "'%s' is neither true nor false" % value


def _judge_dict(_option, value):
    if not value.strip() or ":" in value:
        return None
    return "'%s' is not a list of KEY:VALUE" % value


def _judge_ip(_option, value):
    import ipaddress

    try:
        ipaddress.ip_address(value.partition("%")[0])
    except ValueError:
        return "'%s' is not an IP address" % value
    return None


def _judge_host(option, value):
    if option.kind == "host address value" and _judge_ip(option, value) is None:
        return None
    labels = value.rstrip(".").split(".")
    if len(value) <= 253 and all(map(HOST_LABEL.match, labels)) and not labels[-1].isdigit():
        return None
    return "'%s' is not a host name" % value


def _judge_uri(_option, value):
    return None if URI.match(value) else "'%s' is not a URI" % value


CHECKS = {
    "integer value": _judge_number,
    "port value": _judge_number,
    "floating point value": _judge_number,
    "boolean value": _judge_boolean,
    "dict value": _judge_dict,
    "IP address value": _judge_ip,
    "host address value": _judge_host,
    "hostname value": _judge_host,
    "uri value": _judge_uri,
}
