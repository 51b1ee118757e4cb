# SPDX-License-Identifier: MIT
"""openstack-config --check: will the service read the file, and does it know the options."""

from ..editor import lines
from ..editor.document import decode
from ..editor.effective import normalize
from ..errors import UsageError
from ..host.console import one_line
from .reading import read_data


class Remark:
    """One remark about a line: an error (the service stops or misreads) or a warning."""

    def __init__(self, path, line, level, text):
        self.path = path
        self.line = line
        self.level = level
        self.text = text

    def __str__(self):
        return one_line("%s:%d: %s: %s" % (self.path, self.line, self.level, self.text))


def check(request, dialect, console):
    """Check all files; print what is found. The exit code is 1 if there is an error."""
    schema = None
    if request.option("schema") is not None:
        from . import schema as schemas

        schema = schemas.load(request.option("schema"))
    findings = []
    paths, effective = _read_together(request, request.operations[0].arguments)
    for path in paths:
        text, undecodable = decode(read_data(path))
        parsed = dialect.parse(text, request.ini_option("ignoreindent"))
        problems = ([undecodable] if undecodable else []) + parsed.problems
        found = [Remark(path, p.line, "error", p.reason) for p in problems]
        if schema is not None:
            found += check_options(path, parsed, dialect, schema, effective)
        elif dialect.NAME == "oslo":
            found += _repeated(path, parsed)
        found.sort(key=lambda finding: finding.line)
        if not found and not request.option("json"):
            console.result("%s: ok, %s\n" % (path, _summary(parsed)))
        findings += found
    if request.option("json"):
        console.result(_json(findings))
    else:
        console.result("".join(["%s\n" % finding for finding in findings]))
    return 1 if any(finding.level == "error" for finding in findings) else 0


def _read_together(request, paths):
    """Return (the files to check, the Effective of those of --service and --config-dir or None)."""
    if "service" not in request.options and "config-dir" not in request.options:
        return paths, None
    from . import together

    paths = together.find_files(request, paths)
    try:
        return paths, together.read(paths)
    except UsageError:
        # Which line cannot be read is said of each file.
        return paths, None


def _repeated(path, parsed):
    """Yield warnings of sections and options that are there more than once.

    Without a schema nobody knows which options may repeat: of others only the last one counts.
    """
    headers, line = {}, 1
    for section in parsed.sections:
        if section.name in headers:
            text = "the section [%s] is also on line %d" % (section.name, headers[section.name])
            yield Remark(path, line, "warning", text)
        elif section.name is not None:
            headers[section.name] = line
        line += lines.count(section.text())
    seen = {}
    for section, item, number in lines.numbered_options(parsed):
        place = (section, item.name)
        if place in seen:
            text = "%s is also on line %d; unless it may repeat, the last one counts" % (
                item.name,
                seen[place],
            )
            yield Remark(path, number, "warning", text)
        seen[place] = number


def check_options(path, parsed, dialect, schema, effective=None):
    """Yield Findings about options that the schema does not know, or knows differently.

    A `$name` in a value is the option that `effective`, of all files together, has of that name.
    """

    seen = {}
    for section, item, line in lines.numbered_options(parsed):
        value = dialect.read_value(item)
        if effective is not None:
            resolved, unresolved = effective.resolve(value, section, ((normalize(section), item.name),))
            value = value if unresolved else resolved
        option = schema.find(section, item.name)
        level, text = _judge(schema, section, item.name, option, value)
        if text:
            yield Remark(path, line, level, text)
        place = (normalize(section), item.name)
        if option is not None and not option.multi and place in seen:
            text = "%s is also on line %d; the last one counts" % (item.name, seen[place])
            yield Remark(path, line, "warning", text)
        seen[place] = line


def _judge(schema, section, name, option, value):
    """(level, text) about one option; text is None where nothing is wrong."""
    from .schema import judge

    replacement = schema.replacement(section, name)
    if option is None and replacement is not None:
        text = "[%s] %s is deprecated, use [%s] %s" % ((section, name) + replacement)
        option = schema.find(*replacement)
        wrong = judge(option, value) if option else None
        return ("error", text + "; " + wrong) if wrong else ("warning", text)
    if option is None:
        return _unknown(schema, section, name, normalize(section))
    wrong = judge(option, value)
    if wrong:
        return "error", "[%s] %s: %s" % (section, name, wrong)
    if option.removed:
        reason = ": " + " ".join(option.reason.split()) if option.reason else ""
        return "warning", "[%s] %s will be removed%s" % (section, name, reason)
    return None, None


def _unknown(schema, section, name, normalized):
    if normalized in schema.open_sections:
        return None, None
    if normalized not in schema.options:
        near = schema.nearest_section(section)
        text = "unknown section [%s] of option %s" % (section, name)
    else:
        near = schema.nearest(section, name)
        text = "unknown option %s in [%s]" % (name, section)
    return "error", text + ("; did you mean %s?" % near if near else "")


def _summary(parsed):
    options = sum(1 for _ in lines.numbered_options(parsed))
    names = {section.name for section in parsed.sections if section.name is not None}
    return "%d option%s in %d section%s" % (
        options,
        "" if options == 1 else "s",
        len(names),
        "" if len(names) == 1 else "s",
    )


def _json(findings):
    import json

    from .formats import as_utf8

    return as_utf8(json.dumps([vars(finding) for finding in findings], ensure_ascii=False)) + "\n"
