# SPDX-License-Identifier: MIT
"""openstack-config: runs a Request, prints results, gives the exit code.

Without --strict-exit every error is 1, as in the whole history of the tool.
"""

import os
import sys

from ..editor import document, load_dialect
from ..errors import Interrupted, UtilityError
from ..host import console
from . import arguments as config_arguments


def main(argv=None):
    """Run openstack-config with these arguments, or the process's; return the exit code."""
    arguments = [_text(word) for word in (sys.argv[1:] if argv is None else argv)]
    terminal = ConfigConsole()
    console.fill_closed_streams()
    strict = "--strict-exit" in arguments
    # What is wrong with the command line, too, is said in the words of the dialect.
    terminal.crudini = "--dialect=crudini" in arguments
    try:
        request = config_arguments.parse(arguments)
        terminal.crudini = request.option("dialect") == "crudini"
        code = _run(request, terminal)
        terminal.flush()
        return code
    except UtilityError as error:
        terminal.error(error)
        return error.exit_code if strict else 1
    except Interrupted as stop:
        return 128 + stop.number
    except KeyboardInterrupt:
        return 130


def _run(request, terminal):
    """Import and run what the request is about, and nothing else."""
    if request.option("help") or request.option("version"):
        from . import help

        terminal.result(help.text(request.option("version")))
        return 0
    dialect = load_dialect(request.option("dialect") or "oslo")
    kind = request.operations[0].kind
    if kind == "get":
        from . import get

        return get.get(request, dialect, terminal)
    if kind == "check":
        from . import check

        return check.check(request, dialect, terminal)
    if kind == "effective":
        from . import effective

        return effective.effective(request, terminal)
    from . import change

    return change.FileChange(request, dialect, terminal).run()


def _text(word):
    """An argument as text: UTF-8 whatever the locale, other bytes kept as they are."""
    return document.decode(os.fsencode(word))[0]


class ConfigConsole(console.Console):
    """Results are written when they are whole; values keep every byte."""

    def __init__(self):
        super().__init__()
        self.crudini = False
        self.parts = []

    def result(self, text):
        self.parts.append(document.encode(text))

    def flush(self):
        data, self.parts = b"".join(self.parts), []
        if data:
            console.write_stdout(data)

    def note(self, text):
        self.say("note: " + text)

    def error(self, error):
        if self.crudini and error.plain:
            self.say(error.plain)
        else:
            super().error(error)
