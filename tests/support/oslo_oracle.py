# SPDX-License-Identifier: MIT
"""What oslo.config itself reads: the judge of everything the oslo dialect writes."""

from pathlib import Path

from oslo_config import cfg

Sections = dict[str, dict[str, list[str]]]


def read_by_oslo(path: Path) -> "Sections | None":
    """All values that oslo.config's own parser finds, or None when it refuses the file."""
    sections: Sections = {}
    try:
        cfg.ConfigParser(str(path), sections).parse()
    except (cfg.ParseError, UnicodeDecodeError):
        return None
    return sections


def read_option(path: Path, section: str, name: str, multi: bool = False) -> "str | list[str]":
    """One option as a service gets it, `$` substituted."""
    conf = cfg.ConfigOpts()
    option = (cfg.MultiStrOpt if multi else cfg.StrOpt)(name)
    group = None if section == "DEFAULT" else section
    conf.register_opt(option, group)
    conf(["--config-file", str(path)], project="test", default_config_dirs=[])
    found: str | list[str] = (conf if group is None else conf[group])[name]
    return found
