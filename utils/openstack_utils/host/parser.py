# SPDX-License-Identifier: MIT
"""argparse with this project's shape of messages; empty arguments are refused before it looks at them."""

import argparse
import sys

from ..errors import UsageError
from .arguments import refuse_empty


class Parser(argparse.ArgumentParser):
    """A parser whose errors are UsageError, with the program's --help as the hint.

    `usage` follows the program's name; description and epilog stay as they are laid out. Names of options are
    written in full, and --help and --version are added where the command has them in its list.
    """

    def __init__(self, prog, usage, description, epilog):
        super().__init__(
            prog=prog,
            usage="%s %s" % (prog, usage),
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            add_help=False,
            allow_abbrev=False,
        )

    def parse_known_args(self, args=None, namespace=None):
        """As argparse's, which parse_args calls too; raises UsageError for an argument that is empty."""
        refuse_empty(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def error(self, message):
        raise UsageError(message, hint="%s --help" % self.prog)
