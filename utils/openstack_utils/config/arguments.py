# SPDX-License-Identifier: MIT
"""The command line of openstack-config: argv in, a Request out.

Written by hand because one call holds several operations, each with its own arguments, because
old command lines must go on working, and because importing argparse costs as much as an edit.
"""

from ..errors import UsageError

OPERATIONS = ("get", "set", "del", "merge", "add", "comment", "uncomment", "check", "effective")
# How many arguments an operation takes: fewest, most, and their names.
ARGUMENTS = {
    "get": (1, 3, "FILE [SECTION [PARAM]]"),
    "set": (2, 4, "FILE SECTION [PARAM [VALUE]]"),
    "del": (2, 4, "FILE SECTION [PARAM [VALUE]]"),
    "merge": (1, 2, "FILE [SECTION]"),
    "add": (4, 4, "FILE SECTION PARAM VALUE"),
    "comment": (3, 4, "FILE SECTION PARAM [VALUE]"),
    "uncomment": (3, 4, "FILE SECTION PARAM [VALUE]"),
    "check": (1, None, "FILE..."),
    "effective": (0, None, "[FILE...]"),
}
# The same with --service.
OF_SERVICE = dict(ARGUMENTS, get=(0, 2, "[SECTION [PARAM]] with --service"), check=(0, None, "[FILE...]"))
# Options: "no" argument, "yes", or "maybe" (only as --name=ARGUMENT).
OPTIONS = {
    "existing": "maybe",
    "format": "yes",
    "ini-options": "yes",
    "inplace": "no",
    "list": "no",
    "list-sep": "yes",
    "output": "yes",
    "verbose": "no",
    "help": "no",
    "version": "no",
    "dialect": "yes",
    "all": "no",
    "from": "yes",
    "value-file": "yes",
    "empty": "no",
    "escape": "no",
    "json": "no",
    "diff": "no",
    "dry-run": "no",
    "backup": "maybe",
    "section-index": "yes",
    "schema": "yes",
    "config-dir": "yes",
    "service": "yes",
    "only": "yes",
    "strict-exit": "no",
}
# What crudini 0.9.6 knows: an abbreviation that was unique there stays so.
OLD = frozenset(
    ["get", "set", "del", "merge", "existing", "format", "ini-options", "inplace", "list", "list-sep"]
    + ["output", "verbose", "help", "version"]
)
# Nothing separates the items of a list: any blanks do. No layout is none of them.
MAY_BE_EMPTY = ("list-sep", "ini-options")
CHOICES = {
    "existing": ("file", "section", "param"),
    "format": ("sh", "ini", "lines"),
    "dialect": ("oslo", "crudini", "systemd"),
}
INI_OPTIONS = ("nospace", "space", "sectionspace", "ignoreindent")


class Operation:
    """One --get, --set … with its arguments; `given` is how it was spelled."""

    def __init__(self, kind):
        self.kind = kind
        self.arguments = []
        self.all = False
        self.value_file = None

    @property
    def shown(self):
        """The arguments as --verbose prints them: without a value that came from a file."""
        return self.arguments[: -1 if self.value_file is not None else None]

    def argument(self, index):
        return self.arguments[index] if index < len(self.arguments) else None

    @property
    def path(self):
        return self.arguments[0]

    @property
    def section(self):
        return self.argument(1)

    @property
    def name(self):
        return self.argument(2)

    @property
    def value(self):
        return self.argument(3)


class Request:
    """All operations and options of one call; an option that was not given is None."""

    def __init__(self):
        self.operations = []
        self.options = {}

    def option(self, name):
        return self.options.get(name)

    def ini_option(self, name):
        return name in self.options.get("ini-options", ())


def parse(argv):
    """Read the arguments of the command; UsageError says what is wrong."""
    request = Request()
    stray, pending = [], Operation(None)
    words = iter(argv)
    for word in words:
        target = request.operations[-1] if request.operations else pending
        if word == "--":
            (request.operations[-1].arguments if request.operations else stray).extend(words)
            break
        if not word.startswith("--"):
            (request.operations[-1].arguments if request.operations else stray).append(word)
            continue
        name, equals, argument = word[2:].partition("=")
        name = _complete(name)
        if name in OPERATIONS:
            if equals:
                raise UsageError("--%s takes no '=': its arguments follow it" % name)
            request.operations.append(Operation(name))
            continue
        argument = _argument(name, equals, argument, words)
        if name == "all":
            target.all = True
        elif name == "value-file":
            target.value_file = argument
        else:
            _set_option(request, name, argument)
    if request.option("help") or request.option("version"):
        return request
    _finish(request, stray, pending)
    _check(request)
    return request


def _complete(name):
    """The full name of a possibly abbreviated option."""
    known = [*OPERATIONS, *OPTIONS]
    if name in known:
        return name
    found = [full for full in known if full.startswith(name)] if name else []
    if len(found) > 1:
        found = [full for full in found if full in OLD] or found
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            "--%s could be %s" % (name, " or ".join("--" + full for full in found)),
            plain="option --%s not a unique prefix" % name,
        )
    plain = "option --%s not recognized" % name
    raise UsageError("unknown option --%s" % name, hint=_suggest(name, known), plain=plain)


def _suggest(name, known):
    import difflib

    near = difflib.get_close_matches(name, known, 1)
    if near:
        return "did you mean --%s? A value that begins with '--' goes after a bare --" % near[0]
    return "a value that begins with '--' goes after a bare --"


def _argument(name, equals, argument, words):
    takes = OPTIONS[name]
    if takes == "no" and equals:
        plain = "option --%s must not have an argument" % name
        raise UsageError("--%s takes no argument" % name, plain=plain)
    if takes == "yes" and not equals:
        argument = next(words, None)
        if argument is None:
            plain = "option --%s requires argument" % name
            raise UsageError("--%s needs an argument" % name, plain=plain)
    if (equals or takes == "yes") and not argument.strip() and name not in MAY_BE_EMPTY:
        raise UsageError("--%s: the value is empty" % name)
    return argument if (equals or takes == "yes") else True


def _set_option(request, name, argument):
    if name == "ini-options":
        parts = tuple(part for part in argument.split(",") if part)
        for part in parts:
            if part not in INI_OPTIONS:
                message = "--ini-options=%s: choose from %s" % (part, ", ".join(INI_OPTIONS))
                raise UsageError(message, plain="--ini-options not recognized: %s" % part)
        argument = request.options.get(name, ()) + parts
    elif name == "section-index":
        if not argument.isdigit() or int(argument) < 1:
            raise UsageError("--section-index=%s: a number from 1" % argument)
        argument = int(argument)
    elif name == "config-dir":
        argument = request.options.get(name, ()) + (argument,)
    elif name in CHOICES and argument is not True and argument not in CHOICES[name]:
        item = " item" if name == "existing" else ""
        plain = "--%s%s not recognized: %s" % (name, item, argument)
        message = "--%s=%s: choose from %s" % (name, argument, ", ".join(CHOICES[name]))
        raise UsageError(message, plain=plain)
    elif name == "backup" and argument is not True and (not argument or "/" in argument):
        raise UsageError("--backup=%s: not a suffix of a file's name" % argument)
    elif name == "existing" and argument is True:
        argument = "all"
    request.options[name] = argument


def _finish(request, stray, pending):
    """Hand words that came before the first operation to it; --from alone means --merge."""
    if not request.operations and request.option("from") is not None:
        request.operations.append(Operation("merge"))
    if not request.operations:
        raise UsageError(
            "nothing to do: give --get, --set, --del or another operation",
            hint="openstack-config --help shows examples",
            plain="Unknown operation: %s" % stray[0]
            if stray
            else "One of --set|--del|--get|--merge must be specified",
        )
    first = request.operations[0]
    first.arguments[:0] = stray
    first.all = first.all or pending.all
    if pending.value_file is not None:
        first.value_file = pending.value_file


def _check(request):
    for operation in request.operations:
        _check_operation(operation, "service" in request.options)
    if request.options or len(request.operations) > 1:
        from . import combinations

        combinations.check(request)


def _check_operation(operation, is_service):
    fewest, most, names = (OF_SERVICE if is_service else ARGUMENTS)[operation.kind]
    if operation.kind == "set" and operation.all:
        fewest, most, names = 3, None, "--all FILE SECTION PARAM VALUE..."
    if operation.value_file is not None:
        if operation.kind not in ("set", "add", "del"):
            raise UsageError("--value-file goes with --set, --add or --del")
        fewest, most, names = 3, 3, "FILE SECTION PARAM"
    count = len(operation.arguments)
    if count < fewest or (most is not None and count > most):
        raise UsageError(
            "--%s takes %s, not %d argument%s" % (operation.kind, names, count, "" if count == 1 else "s"),
            hint="quote values that contain blanks" if count > fewest else None,
            plain="A value should not be specified with --get" if operation.kind == "get" and count else None,
        )
    if operation.all and operation.kind not in ("get", "set"):
        raise UsageError("--all goes with --get or --set")
    if operation.kind == "get" and is_service:
        # No FILE: the service says which.
        operation.arguments.insert(0, "")
    elif operation.kind not in ("check", "effective") and not operation.path:
        raise UsageError("the name of the file is empty")
