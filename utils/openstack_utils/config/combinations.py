# SPDX-License-Identifier: MIT
"""Which operations and options of openstack-config go together in one call.

A call of one operation without an option has nothing to check here, and does not import this.
"""

from ..errors import UsageError

CHANGING = ("set", "del", "merge", "add", "comment", "uncomment")


def check(request):
    """Raise UsageError for operations or options of a Request that exclude each other."""
    kinds = {operation.kind for operation in request.operations}
    changing = kinds.intersection(CHANGING)
    for alone in ("get", "check", "effective"):
        if alone in kinds and len(kinds) > 1:
            message = "--%s cannot be mixed with --%s" % (alone, min(kinds - {alone}))
            raise UsageError(message, plain="--get|--merge modes can't be mixed with --set|--del")
    if "merge" in kinds and len(request.operations) > 1:
        raise UsageError("--merge stands alone", plain="--merge mode can't be repeated")
    if request.option("dialect") == "crudini":
        _check_crudini(request)
    _check_options(request, kinds, changing)


def _check_crudini(request):
    """Refuse what crudini refuses, for scripts that rely on it."""
    message = "--dialect=crudini: one file in a call"
    if len({operation.path for operation in request.operations}) > 1:
        raise UsageError(message, plain="Can't operate on multiple files")
    for operation in request.operations:
        if operation.kind == "del" and operation.value is not None and not request.option("list"):
            message = "--dialect=crudini: --del takes a value only with --list"
            raise UsageError(message, plain="A value should not be specified with --del")


def _check_options(request, kinds, changing):
    options = request.options
    # What crudini takes without using it (--format with --set, --existing with --get) is taken.
    if "json" in options and not kinds & {"get", "check", "effective"}:
        raise UsageError("--json goes with --get, --check or --effective")
    if "only" in options and "effective" not in kinds:
        raise UsageError("--only goes with --effective")
    for name in ("config-dir", "service"):
        if name in options and not kinds & {"get", "check", "effective"}:
            raise UsageError("--%s goes with --get, --check or --effective" % name)
        for other in ("section-index", "ini-options", "dialect"):
            if name in options and options.get(other, "oslo") != "oslo":
                raise UsageError("--%s and --%s exclude each other" % (name, other))
    for name in ("diff", "dry-run", "backup", "escape"):
        if name in options and not changing:
            raise UsageError("--%s goes with an operation that changes a file" % name)
    for first, second in (
        ("format", "json"),
        ("output", "dry-run"),
        ("output", "backup"),
    ):
        if first in options and second in options and not (first == "output" and not changing):
            raise UsageError("--%s and --%s exclude each other" % (first, second))
    if "section-index" in options and not kinds <= {"get", "set", "add", "del", "comment", "uncomment"}:
        raise UsageError("--section-index goes with --get or an operation on a section")
    if "empty" in options and not any(o.value_file is not None for o in request.operations):
        raise UsageError("--empty goes with --value-file")
    if "schema" in options and "check" not in kinds:
        raise UsageError("--schema goes with --check")
    if "from" in options and "merge" not in kinds:
        raise UsageError("--from goes with --merge, or alone")
    if changing and len({operation.path for operation in request.operations}) > 1:
        if "output" in options:
            raise UsageError("--output takes the result of one file")
        if any(operation.path == "-" for operation in request.operations):
            raise UsageError("'-' cannot be edited together with other files")
    if request.ini_option("space") and request.ini_option("nospace"):
        message = "--ini-options: space and nospace exclude each other"
        raise UsageError(message, plain="--ini-options=space,nospace are mutually exclusive")
