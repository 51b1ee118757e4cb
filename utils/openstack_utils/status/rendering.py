# SPDX-License-Identifier: MIT
"""A Report as text and as JSON. Pure."""

import json
import socket
import time

FORMAT = 1
MARK = "! "


def text(report):
    """Return the report for a terminal; lines of what is not well begin with `!`."""
    lines = []
    for section in report.sections:
        lines.append(_heading(section))
        rows = [[each.name, each.state, each.detail] for each in section.findings]
        widths = [max(len(row[number]) for row in rows) for number in (0, 1)]
        for finding, row in zip(section.findings, rows):
            mark = MARK if finding.well is False else "  "
            line = "%s%s  %s  %s" % (mark, row[0].ljust(widths[0]), row[1].ljust(min(widths[1], 24)), row[2])
            lines.append(line.rstrip())
            lines += ["      " + each for each in finding.more]
        lines.append("")
    lines += ["left out: %s" % each for each in report.left_out]
    bad = report.not_well
    if bad:
        lines.append("not well: %s" % ", ".join(dict.fromkeys(each.name for each in bad)))
    elif any(each.well for section in report.sections for each in section.findings):
        lines.append("all well")
    elif report.sections:
        lines.append("nothing is judged: no service is known to be enabled here")
    return "".join(line + "\n" for line in lines)


def _heading(section):
    if section.kind == "project":
        release = " (%s)" % section.release if section.release else ""
        return "%s: %s%s" % (section.name, section.title, release)
    return section.title


def data(report):
    """Return the report as dictionaries and lists (see openstack-status(1))."""
    return {
        "format": FORMAT,
        "host": socket.gethostname(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "seconds": round(report.seconds, 3),
        "init": report.init,
        "well": not report.not_well and not report.is_empty,
        "not_well": [each.name for each in report.not_well],
        "sections": [
            {
                "kind": section.kind,
                "name": section.name or section.kind,
                "title": section.title,
                "release": section.release or None,
                "findings": [finding(each) for each in section.findings],
            }
            for section in report.sections
        ],
        "left_out": report.left_out,
    }


def finding(each):
    """Return a Finding as a dictionary: what all have, then what is known of its kind."""
    found = {"kind": each.kind, "name": each.name, "state": each.state, "well": each.well}
    found.update((key, value) for key, value in each.facts.items() if key != "kind")
    return found


def as_json(report, one_line=False):
    """Return the report as JSON text: a document, or a line of its own (--watch)."""
    return json.dumps(data(report), indent=None if one_line else 1) + "\n"
