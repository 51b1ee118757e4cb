# SPDX-License-Identifier: MIT
"""openstack-config: runs a Request, prints results, gives the exit code.

Without --strict-exit every error is 1, as in the whole history of the tool.
"""

import os
import sys

from ..editor import document
from ..editor.dialects import dialect as load_dialect
from ..errors import UtilityError
from ..host import signals
from ..storage import descriptors
from . import arguments as config_arguments


def main(argv=None):
    """Run openstack-config with the arguments behind its name; return the exit code."""
    arguments = [_text(word) for word in (sys.argv[1:] if argv is None else argv)]
    console = Console()
    fill_closed_streams()
    strict = "--strict-exit" in arguments
    try:
        request = config_arguments.parse(arguments)
        console.crudini = request.option("dialect") == "crudini"
        code = _run(request, console)
        console.flush()
        return code
    except UtilityError as error:
        console.error(error)
        return error.exit_code if strict else 1
    except signals.Interrupted as stop:
        return 128 + stop.number
    except KeyboardInterrupt:
        return 130


def _run(request, console):
    """Import and run what the request is about, and nothing else."""
    if request.option("help") or request.option("version"):
        from . import help

        console.result(help.text(request.option("version")))
        return 0
    dialect = load_dialect(request.option("dialect") or "oslo")
    kind = request.operations[0].kind
    if kind == "get":
        from . import get

        return get.get(request, dialect, console)
    if kind == "check":
        from . import check

        return check.check(request, dialect, console)
    from . import change

    return change.Change(request, dialect, console).run()


def _text(word):
    """An argument as text: UTF-8 whatever the locale, other bytes kept as they are."""
    return document.decode(os.fsencode(word))[0]


class Console:
    """stdout and stderr, in UTF-8 whatever the locale. Results are written when they are whole."""

    def __init__(self):
        self.crudini = False
        self.parts = []

    def result(self, text):
        self.parts.append(document.encode(text))

    def flush(self):
        data, self.parts = b"".join(self.parts), []
        if data:
            write_stdout(data)

    def say(self, text):
        try:
            descriptors.write_all(2, document.encode(text + "\n"))
        except OSError:
            # Nobody is listening: the exit code still tells.
            pass

    def note(self, text):
        self.say("note: " + one_line(text))

    def warn(self, text):
        self.say("warning: " + one_line(text))

    def error(self, error):
        if self.crudini and error.plain:
            self.say(one_line(error.plain))
            return
        self.say("error: " + one_line(error.message))
        if error.hint:
            self.say("hint: " + one_line(error.hint))


def fill_closed_streams():
    """Keep files we open from becoming stdin, stdout or stderr when those are closed.

    What fills their place fails as a closed one does: stdin cannot be read, the others not written.
    """
    for number, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open("/dev/null", flags)


def write_stdout(data):
    """Write to stdout; a reader that has gone is no error, a full disk or closed stdout is."""
    try:
        descriptors.write_all(1, data)
    except BrokenPipeError:
        return
    except OSError as error:
        closed = os.strerror(error.errno) if error.errno != 9 else "is closed"
        raise UtilityError(
            "stdout: %s" % (closed[:1].lower() + closed[1:]),
            plain="stdout is closed" if error.errno == 9 else str(error),
        ) from error


def one_line(text):
    return text.replace("\r", "\\r").replace("\n", "\\n")
