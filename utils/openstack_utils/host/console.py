# SPDX-License-Identifier: MIT
"""The terminal of a command: results to stdout, progress, warnings and errors to stderr, questions.

Everything is UTF-8 whatever the locale, and each message is one line.
"""

import errno
import os
import sys

from ..errors import DeclinedError, UtilityError


class Console:
    """stdout for results, stderr for everything else."""

    def __init__(self, quiet=False, verbose=False):
        self.quiet = quiet
        self.verbose = verbose
        self.warnings = []

    def say(self, text):
        try:
            write(2, (one_line(text) + "\n").encode("utf-8", "backslashreplace"))
        except OSError:
            # Nobody is listening: the exit code still says it.
            pass

    def note(self, text):
        if not self.quiet:
            self.say(text)

    def detail(self, text):
        if self.verbose:
            self.say(text)

    def warn(self, text):
        self.warnings.append(text)
        self.say("warning: " + text)

    def error(self, error):
        """Print an error: one line, or one for each mistake of a file."""
        for message in getattr(error, "messages", None) or [error.message]:
            self.say("error: " + message)
        if error.hint:
            self.say("hint: " + error.hint)

    def result(self, text):
        """Print a result. Raises UtilityError when it cannot be written; a reader may have gone."""
        write_stdout(text.encode("utf-8", "backslashreplace"))

    def ask(self, question):
        """Ask a yes/no question on the terminal; without a terminal the answer is no."""
        self.say(question + " [y/N]")
        return is_terminal() and sys.stdin.readline().strip().lower() in ("y", "yes")

    def need_yes(self, question, declined="declined: nothing changed"):
        """Raise DeclinedError, with the message `declined`, unless the answer is yes."""
        if not self.ask(question):
            raise DeclinedError(declined, hint="--yes answers every question")


def is_terminal():
    """Whether somebody is there to answer questions."""
    return sys.stdin is not None and sys.stdin.isatty()


def exit_code(work):
    """Call `work()`, which returns an exit code; print an error it raises; return the code of either."""
    try:
        return work()
    except UtilityError as error:
        Console().error(error)
        return error.exit_code
    except KeyboardInterrupt:
        Console().say("error: interrupted")
        return 130
    except SystemExit as ended:
        # --help and --version of argparse.
        return ended.code or 0


def one_line(text):
    """Return a text with its line ends, and what a terminal would obey, made visible."""
    if text.isprintable():
        return text
    return "".join([sign if sign.isprintable() or sign == "\t" else ascii(sign)[1:-1] for sign in text])


def write(descriptor, data):
    """Write all bytes to a descriptor."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_stdout(data):
    """Write bytes to stdout; a reader that has gone is not an error, a full disk or a closed stdout is."""
    try:
        write(1, data)
    except BrokenPipeError:
        return
    except OSError as error:
        is_closed = error.errno == errno.EBADF
        reason = "is closed" if is_closed else os.strerror(error.errno or 0)
        raise UtilityError(
            "stdout: %s" % (reason[:1].lower() + reason[1:]),
            plain="stdout is closed" if is_closed else str(error),
        ) from error


def fill_closed_streams():
    """Keep files we open from becoming stdin, stdout or stderr when those are closed.

    What fills their place fails as a closed one does: stdin cannot be read, the others not written.
    """
    for number, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open("/dev/null", flags)
