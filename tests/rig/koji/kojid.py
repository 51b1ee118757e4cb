# SPDX-License-Identifier: MIT
"""Runs Koji's own builder (builder/kojid) where neither mock nor its user and folders in /etc are there.

`python kojid.py KOJID CONFIG MOCK MOCKCFG`: MOCK is run in mock's place, MOCKCFG is the folder of mock's
configurations; our engine builds in Image Factory's place (direct_engine_for_imagefactory.py). All else is
Koji's: task manager, handlers, uploads, createrepo.
"""

from __future__ import annotations

import grp
import importlib
import importlib.machinery
import importlib.util
import logging
import os
import pwd
import sys
import types
from typing import Any

# What kojid imports for tasks that nobody gives it here: repositories of distributions.
ABSENT = {"librepo": (), "multilib": ("multilib",)}
ETC = "/etc/mock/koji"


def main() -> None:
    """Load kojid as a module, and do what it does when it is run."""
    path, config, mock, folder = sys.argv[1:]
    for name, attributes in ABSENT.items():
        if importlib.util.find_spec(name) is not None:
            continue
        module = types.ModuleType(name)
        for attribute in attributes:
            setattr(module, attribute, None)
        sys.modules[name] = module
    importlib.import_module("direct_engine_for_imagefactory").install()
    koji = importlib.import_module("koji")
    kojid = load(path)
    os.makedirs(folder, exist_ok=True)
    daemon = importlib.import_module("koji.daemon")
    for function in (kojid.BuildRoot._writeMockConfig, daemon.TaskManager._scanLocalBuildroots):
        replace_constant(function, ETC, folder)
    # How busy the host is with other things is nothing to this builder.
    daemon.os.getloadavg = lambda: (0.0, 0.0, 0.0)
    # Seconds between two looks for a repository; Koji's is a minute.
    kojid.koji.tasks.WaitrepoTask.PAUSE = 2
    sys.argv = [path, "--config", config, "--fg", "--force-lock", "--verbose"]
    options = kojid.get_options()
    options.mockpath = mock
    options.mockuser = pwd.getpwuid(os.getuid()).pw_name
    kojid.grp = types.SimpleNamespace(getgrnam=lambda _name: grp.getgrgid(os.getgid()))
    koji.add_stderr_logger("koji")
    logging.getLogger("koji").setLevel(logging.INFO)
    session = koji.ClientSession(options.server, koji.grab_session_options(options))
    session.login()
    session.exclusiveSession(force=True)
    kojid.main(options, session)


def load(path: str) -> Any:
    """Load a Python program without a suffix as a module."""
    loader = importlib.machinery.SourceFileLoader("kojid", path)
    spec = importlib.util.spec_from_loader("kojid", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["kojid"] = module
    loader.exec_module(module)
    return module


def replace_constant(function: types.FunctionType, old: str, new: str) -> None:
    """Have a function use another string in place of one that stands in its code."""
    code = function.__code__
    constants = tuple(new if constant == old else constant for constant in code.co_consts)
    function.__code__ = code.replace(co_consts=constants)


if __name__ == "__main__":
    main()
