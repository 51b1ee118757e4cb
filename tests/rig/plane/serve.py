# SPDX-License-Identifier: MIT
"""Run the manage commands of Keystone or Glance and then serve it, in one process.

Runs in the plane's own environment (`python -P serve.py SETTINGS.json`), never in ours: it may import
nothing of this repository. Importing Keystone costs three seconds; here it is paid once, and each
manage command is a fork of the process that has it.

SETTINGS.json holds {"service", "config", "commands": [[word, ...], ...], "port" or null}; it may hold
the password of `keystone-manage bootstrap`, so it is mode 0600 and removed when it has been read.
Without a port nothing is served: the process ends after the commands.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def manage_keystone(argv: list[str]) -> None:
    """Run `keystone-manage ARGV`."""
    cli = importlib.import_module("keystone.cmd.cli")
    # developer_config_file would have it read etc/keystone.conf of a source tree.
    sys.exit(cli.main(argv=["keystone-manage", *argv], developer_config_file=None))


def manage_glance(argv: list[str]) -> None:
    """Run `glance-manage ARGV`."""
    sys.argv = ["glance-manage", *argv]
    sys.exit(importlib.import_module("glance.cmd.manage").main())


def serve_keystone(config: str) -> Any:
    """Return Keystone's WSGI application, configured by the file `config`."""
    os.environ["OS_KEYSTONE_CONFIG_FILES"] = config
    # oslo.config parses sys.argv: ours would stop it with "unrecognized arguments".
    sys.argv = ["keystone"]
    return importlib.import_module("keystone.wsgi.api").application


def serve_glance(config: str) -> Any:
    """Return Glance's WSGI application, configured by the folder of `config`."""
    os.environ["OS_GLANCE_CONFIG_DIR"] = os.path.dirname(config)
    sys.argv = ["glance-api"]
    return importlib.import_module("glance.wsgi.api").application


MANAGE: dict[str, Callable[[list[str]], None]] = {"keystone": manage_keystone, "glance": manage_glance}
APPLICATION: dict[str, Callable[[str], Any]] = {"keystone": serve_keystone, "glance": serve_glance}
MANAGE_MODULE = {"keystone": "keystone.cmd.cli", "glance": "glance.cmd.manage"}


@contextmanager
def _exit_of_child() -> Iterator[None]:
    """Leave a forked child with the exit status that the code inside asks for."""
    status = 70
    try:
        yield
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def run_command(service: str, config: str, words: list[str]) -> None:
    """Run one manage command in a fork; exit as it did when it failed."""
    child = os.fork()
    if child == 0:
        with _exit_of_child():
            MANAGE[service](["--config-file", config, *words])
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        print(f"error: {service}-manage {words[0]} ended with status {code}", file=sys.stderr)
        sys.exit(1)


def serve(service: str, config: str, port: int) -> None:
    """Serve `service` on 127.0.0.1:`port` until SIGTERM."""
    application = importlib.import_module("gunicorn.app.base").BaseApplication

    class Server(application):  # type: ignore[misc,valid-type]
        """gunicorn with settings of our own and no command line."""

        def load_config(self) -> None:
            settings = {
                "bind": f"127.0.0.1:{port}",
                "workers": 1,
                "worker_class": "gthread",
                "threads": 8,
                "timeout": 120,
                "graceful_timeout": 2,
                # One socket in the user's home for every gunicorn on the machine: not for us.
                "control_socket_disable": True,
            }
            for name, value in settings.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return APPLICATION[service](config)

    Server().run()


def main() -> None:
    """Do what the settings file of the first argument says."""
    path = Path(sys.argv[1])
    settings = json.loads(path.read_text())
    path.unlink()
    service, config = settings["service"], settings["config"]
    if settings["commands"]:
        importlib.import_module(MANAGE_MODULE[service])
    for words in settings["commands"]:
        run_command(service, config, words)
    if settings["port"] is not None:
        serve(service, config, settings["port"])


if __name__ == "__main__":
    main()
