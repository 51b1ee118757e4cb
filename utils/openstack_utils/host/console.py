# SPDX-License-Identifier: MIT
"""The terminal of a command: results to stdout, progress, warnings and errors to stderr."""

import sys

from ..errors import UsageError, UtilityError


class Console:
    """stdout for results, stderr for everything else."""

    def __init__(self, quiet=False, verbose=False):
        self.quiet = quiet
        self.verbose = verbose
        self.warnings = []

    def say(self, text):
        try:
            _write(sys.stderr, _one_line(text) + "\n")
        except OSError:
            # Nobody is listening: the exit code still tells.
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
        """Say what is wrong: one line, or one for each mistake of a file."""
        lines = error.message.split("\n") if isinstance(error, UsageError) else [error.message]
        for line in lines:
            self.say("error: " + line)
        if error.hint:
            self.say("hint: " + error.hint)

    def result(self, text):
        """Print a result. Raises UtilityError when it cannot be written; a reader may have gone."""
        try:
            _write(sys.stdout, text)
        except OSError as error:
            # Python would try once more at its end, and complain.
            sys.stdout = None
            if not isinstance(error, BrokenPipeError):
                raise UtilityError("stdout: %s" % error.strerror.lower()) from None


def exit_code(work):
    """Call `work()`, which returns an exit code; return that, or the one of the error that is told."""
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


def _one_line(text):
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _write(stream, text):
    """Write in UTF-8 whatever the locale; a closed stream takes nothing."""
    if stream is not None:
        stream.flush()
        stream.buffer.write(text.encode("utf-8", "backslashreplace"))
        stream.flush()
