# SPDX-License-Identifier: MIT
"""What options had before the first run wrote them: kept with mode 0600, so that --undo can give it back.

A value is a text, or None where the option was not set; option "" stands for a section that was not there.
What is known already is never replaced: a second run finds its own values in the files.
"""

import json
import os

from .. import json_text
from ..errors import UtilityError, reason_of
from ..storage.private_files import write_private

NAME = "openstack-demo-before.json"


def read(path):
    """Return {(file, section, option): value or None}, {} without a record. Raises UtilityError."""
    try:
        with open(path, encoding="utf-8") as file:
            rows = json_text.parse(file.read())
        return {(row["file"], row["section"], row["option"]): row["value"] for row in rows}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UtilityError("%s: %s" % (path, reason_of(error))) from None
    except (ValueError, KeyError, TypeError):
        raise UtilityError("%s: not a record of openstack-demo-install" % path) from None


def remember(path, files, places):
    """Add what is not known yet. `files` are {name: IniFile}, `places` (file, section, option)."""
    known = read(path)
    new = {place: files[place[0]].value(place[1], place[2]) for place in places if place not in known}
    sections = {name: file.sections() for name, file in files.items()}
    new.update({(name, section, ""): None for name, section, _ in new if section not in sections[name]})
    if not new:
        return
    known.update(new)
    rows = [
        {"file": file, "section": section, "option": option, "value": known[file, section, option]}
        for file, section, option in sorted(known)
    ]
    write_private(path, json.dumps(rows, indent=1) + "\n")


def give_back(path, files):
    """Set what the record has in the IniFiles that are open; those of others are left out."""
    record = {place: value for place, value in read(path).items() if place[0] in files}
    for (file, section, option), value in record.items():
        if value is not None:
            files[file].set(section, option, value)
        elif option:
            files[file].delete(section, option)
    for file, section, option in record:
        # Somebody else may have put something there meanwhile.
        if not option and not files[file].names(section):
            files[file].delete_section(section)


def names(path):
    """Return the files that the record names and that are there."""
    return [name for name in dict.fromkeys(place[0] for place in read(path)) if os.path.isfile(name)]
