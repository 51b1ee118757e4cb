# SPDX-License-Identifier: MIT
"""What of the wanted objects a Keystone already has: found by name, as Keystone itself matches names.

Names that differ in case, accents or blanks at the end are one to MySQL and two to PostgreSQL, so
Keystone is asked: on MySQL it finds `member` for `Member`. What is few (roles, services, endpoints)
is read whole; of users and projects one page, which is all of them in a young cloud, and then those
that are not on it by name.
"""

import unicodedata

from ..keystone.client import RemoteError

PAGE = 200


class KeystoneState:
    """Objects as Keystone shows them. Dictionaries are keyed by the *wanted* names."""

    def __init__(self):
        self.regions = set()
        self.roles = {}
        self.projects = {}
        self.users = {}
        self.services = []
        self.endpoints = []
        self.implied = set()
        self.assignments = set()
        self.ec2 = {}
        # user name -> whether the wanted password is the user's; not there: not tested
        self.passwords = {}

    def forget(self, ids):
        """Take out services and endpoints that are gone, and endpoints that went with their services."""
        ids = set(ids)
        self.services = [each for each in self.services if each["id"] not in ids]
        self.endpoints = [
            each for each in self.endpoints if each["id"] not in ids and each["service_id"] not in ids
        ]


def read_state(session, desired, workers, *, test_password=None):
    """Return the KeystoneState of the `desired` objects in the Keystone of a Session.

    `test_password(identity, user_id, password)` says whether a login succeeds; without it no
    password is tested. Raises RemoteError.
    """
    identity, state = session.identity, KeystoneState()
    page = {"domain_id": session.domain, "limit": PAGE}
    tasks = [
        _reader(identity, kind, [each.name for each in wanted], there, query)
        for kind, wanted, there, query in (
            ("roles", desired.roles, state.roles, {}),
            ("projects", desired.projects, state.projects, page),
            ("users", desired.users, state.users, page),
        )
        if wanted
    ]
    if desired.services:
        tasks.append(lambda: _read_catalog(identity, desired, state))
    if desired.implied:
        tasks.append(lambda: _read_implied(identity, state))
    workers.run(tasks)
    named = {each.project for each in desired.assignments}
    ids = sorted(state.projects[name]["id"] for name in named if name in state.projects)
    tasks = [_assignment_reader(identity, each, state) for each in ids]
    owners = {each.user for each in desired.ec2}.intersection(state.users)
    tasks += [_ec2_reader(session, user, state) for user in desired.users if user.name in owners]
    if test_password is not None:
        tasks += [
            _password_tester(identity, user, state, test_password)
            for user in desired.users
            if user.name in state.users and user.password
        ]
    workers.run(tasks)
    return state


def find(identity, kind, name, **query):
    """Return the object of a kind (`users`) that Keystone finds under a name, or None."""
    for found in identity.get("/" + kind, name=name, **query)[kind]:
        return found
    return None


def _list(identity, kind, **query):
    """Return all objects of a kind. Raises RemoteError when Keystone shows a part of them only."""
    answer = identity.get("/" + kind, **query)
    if answer.get("truncated"):
        message = "GET %s/%s: Keystone shows %d only" % (identity.url, kind, len(answer[kind]))
        raise RemoteError(message, hint="raise list_limit in keystone.conf", status=200)
    return answer[kind]


def is_similar(first, second):
    """Say whether a database may take two names for one."""
    return _folded(first) == _folded(second)


def _folded(name):
    parts = unicodedata.normalize("NFKD", name.rstrip().casefold())
    return "".join(char for char in parts if not unicodedata.combining(char))


def _reader(identity, kind, names, target, query):
    """Return a task that puts the objects of these names into `target`."""

    def run():
        answer = identity.get("/" + kind, **query)
        there = {each["name"]: each for each in answer[kind]}
        is_whole = not answer.get("truncated") and not (answer.get("links") or {}).get("next")
        is_whole = is_whole and len(answer[kind]) < query.get("limit", len(answer[kind]) + 1)
        domain = {"domain_id": query["domain_id"]} if "domain_id" in query else {}
        for name in names:
            found = there.get(name)
            if found is None and not (is_whole and not any(is_similar(name, each) for each in there)):
                found = find(identity, kind, name, **domain)
            if found is not None:
                target[name] = found

    return run


def _read_catalog(identity, desired, state):
    services = identity.get("/services")
    if services.get("truncated"):
        types = sorted({service.type for service in desired.services})
        state.services = [each for kind in types for each in _list(identity, "services", type=kind)]
    else:
        state.services = services["services"]
    if not desired.endpoints:
        return
    endpoints = identity.get("/endpoints")
    state.endpoints = endpoints["endpoints"]
    if endpoints.get("truncated"):
        wanted = {service.type for service in desired.services}
        ids = [each["id"] for each in state.services if each["type"] in wanted]
        state.endpoints = [each for one in ids for each in _list(identity, "endpoints", service_id=one)]
    # A region that an endpoint names is there; only another is looked for.
    state.regions = {each["region_id"] for each in state.endpoints if each.get("region_id")}
    if any(region.name not in state.regions for region in desired.regions):
        state.regions.update(region["id"] for region in _list(identity, "regions"))


def _read_implied(identity, state):
    for inference in identity.get("/role_inferences")["role_inferences"]:
        prior = inference["prior_role"]["id"]
        state.implied.update((prior, role["id"]) for role in inference["implies"])


def _assignment_reader(identity, project, state):
    def run():
        answer = identity.get("/role_assignments", **{"scope.project.id": project})
        for each in answer["role_assignments"]:
            if "user" in each and "OS-INHERIT:inherited_to" not in each["scope"]:
                state.assignments.add((each["user"]["id"], project, each["role"]["id"]))

    return run


def _ec2_reader(session, user, state):
    def run():
        user_id = state.users[user.name]["id"]
        answer = session.as_owner(user, user_id).get("/users/%s/credentials/OS-EC2" % user_id)
        for each in answer["credentials"]:
            state.ec2.setdefault((user.name, each["tenant_id"]), each)

    return run


def _password_tester(identity, user, state, test_password):
    def run():
        user_id = state.users[user.name]["id"]
        state.passwords[user.name] = test_password(identity, user_id, user.password)

    return run
