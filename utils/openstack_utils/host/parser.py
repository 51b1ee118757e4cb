# SPDX-License-Identifier: MIT
"""argparse with this project's shape of messages; empty arguments are refused before it looks at them."""

import argparse
import sys

from ..errors import UsageError
from .arguments import refuse_empty


class Parser(argparse.ArgumentParser):
    """A parser whose errors are UsageError, with the program's --help as the hint."""

    def parse_known_args(self, args=None, namespace=None):
        """As argparse's, which parse_args calls too; raises UsageError for an argument that is empty."""
        refuse_empty(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def error(self, message):
        raise UsageError(message, hint="%s --help" % self.prog)
