# SPDX-License-Identifier: MIT
"""Services without a unit of their own: those that httpd serves by mod_wsgi, from httpd's configuration."""

import glob
import os
import shlex

FILES = "etc/httpd/conf.d/*.conf"
UNIT = "httpd"


def in_httpd(known, root="/"):
    """Return {name of a service: the file that says so}; what cannot be read counts for nothing."""
    scripts = {script: kind.name for kind in known.kinds.values() for script in kind.scripts}
    for project in known.data["projects"].values():
        for release in project["releases"].values():
            if release["site"]:
                scripts[release["site"]["module"]] = release["site"]["name"]
    found = {}
    for path in sorted(glob.glob(os.path.join(root, FILES))):
        for target in _aliases(path):
            name = scripts.get(target) or scripts.get(os.path.basename(target))
            if name:
                found.setdefault(name, path)
    return found


def _aliases(path):
    """Return what the lines `WSGIScriptAlias URL PATH [OPTION]...` of a file lead to."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().replace("\\\n", " ").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue
        if len(words) >= 3 and words[0].lower() in ("wsgiscriptalias", "wsgiscriptaliasmatch"):
            found.append(words[2])
    return found
