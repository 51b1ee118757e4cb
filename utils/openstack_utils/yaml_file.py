# SPDX-License-Identifier: MIT
"""YAML files of the user, by PyYAML, which is imported when there is one to read."""

import contextlib

from .errors import UsageError, UtilityError, reason_of

DEEPEST = 100


def import_yaml(what):
    """Return PyYAML. Raises UtilityError, exit 4, when it is not installed: `what` cannot be read."""
    try:
        import yaml
    except ImportError:
        error = UtilityError("%s cannot be read without PyYAML" % what, hint="install python3-pyyaml")
        error.exit_code = 4
        raise error from None
    return yaml


@contextlib.contextmanager
def translated_errors(path):
    """Turn what reading the file raises into UsageError with its name, and the line where that is known."""
    import yaml

    try:
        yield
    except OSError as error:
        raise UsageError("%s: %s" % (path, reason_of(error))) from None
    except UnicodeDecodeError:
        raise UsageError("%s: not UTF-8 text" % path) from None
    except RecursionError:
        raise UsageError("%s: it is nested too deeply" % path) from None
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        # PyYAML's constructors: a date of a 13th month, or `!!bool maybe`.
        raise UsageError("%s: a value is not of its type: %s" % (path, error)) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "%s:%d" % (path, mark.line + 1) if mark else path
        problem = getattr(error, "problem", None) or str(error).split("\n")[0]
        raise UsageError("%s: not YAML: %s" % (where, problem)) from None


def check_depth(yaml, text, loader):
    """Raise yaml.YAMLError for a text on which libyaml would end the process: nested as deep as its stack.

    A schema of nova goes 6 levels deep.
    """
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise yaml.YAMLError("line %d: it is nested too deeply" % (event.start_mark.line + 1))
