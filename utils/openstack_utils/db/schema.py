# SPDX-License-Identifier: MIT
"""Whether tables are those that the installed code wants: alembic_version against the code's heads.

The service's own interpreter finds the revisions, since only it knows where the service's modules
are; it reads them without running them.
"""

from .. import json_text
from ..errors import UtilityError
from ..host import processes
from ..host.programs import find_program, interpreter_of

CURRENT, BEHIND, EMPTY, MISSING, UNKNOWN = "current", "behind", "empty", "missing", "unknown"

# Runs under any Python 3, with nothing of ours: prints {folder: {revision: [revisions below it]}}.
READER = """
import ast, importlib.util, json, os, sys
def literal(node):
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None
def read(path):
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    found = {}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            if isinstance(target, ast.Name) and getattr(node, "value", None) is not None:
                found[target.id] = literal(node.value)
    return found
graphs = {}
for folder in sys.argv[1:]:
    package, _, below = folder.partition("/")
    spec = importlib.util.find_spec(package)
    graph = graphs[folder] = {}
    for place in spec.submodule_search_locations if spec else ():
        for base, _, names in os.walk(os.path.join(place, below)):
            for name in names:
                if name.endswith(".py") and name != "__init__.py":
                    found = read(os.path.join(base, name))
                    if isinstance(found.get("revision"), str):
                        below_it = []
                        for key in ("down_revision", "depends_on"):
                            value = found.get(key) or ()
                            below_it += [value] if isinstance(value, str) else list(value)
                        graph[found["revision"]] = below_it
json.dump(graphs, sys.stdout)
"""


def read_graphs(service):
    """Return {migrations: graph} for the databases of a service, {} where they cannot be read."""
    folders = list(dict.fromkeys(each.migrations for each in service.databases if each.migrations))
    program = find_program(service.program) if service.program else None
    interpreter = interpreter_of(program)
    if not folders or interpreter is None:
        return {}
    try:
        return json_text.parse(processes.run([interpreter, "-I", "-c", READER] + folders, limit=60).out)
    except (OSError, ValueError, UtilityError):
        return {}


def heads(graph):
    """Return the revisions of a graph that no other one follows."""
    below = {revision for revisions in graph.values() for revision in revisions}
    return {revision for revision in graph if revision not in below}


def judge(graph, revisions, tables):
    """Return what the tables are: `revisions` are the rows of alembic_version, None without that table."""
    if not tables:
        return EMPTY
    if not graph or revisions is None:
        return UNKNOWN
    if not revisions.issubset(graph):
        # The tables of a newer release.
        return UNKNOWN
    reached, waiting = set(), list(revisions)
    while waiting:
        revision = waiting.pop()
        if revision not in reached:
            reached.add(revision)
            waiting += graph.get(revision, ())
    return CURRENT if heads(graph) <= reached else BEHIND
