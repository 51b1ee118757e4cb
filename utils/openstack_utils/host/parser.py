# SPDX-License-Identifier: MIT
"""argparse with this project's shape of messages. Apart from `arguments`, which does not need argparse."""

import argparse

from ..errors import UsageError


class Parser(argparse.ArgumentParser):
    """A parser whose errors are UsageError, with the program's --help as the hint."""

    def error(self, message):
        raise UsageError(message, hint="%s --help" % self.prog)
