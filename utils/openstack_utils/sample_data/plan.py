# SPDX-License-Identifier: MIT
"""The desired objects against the state of Keystone: the steps that make the one from the other. Pure.

Objects are the same by their natural key: region id; name of role, project and user (as Keystone
matched it); type and name of a service; service, interface and region of an endpoint; the tuple of
an assignment. Nothing is ever added to what is there twice.
"""

from typing import NamedTuple

CREATE, UPDATE, KEEP, CONFLICT, DELETE = "create", "update", "keep", "conflict", "delete"


class Step(NamedTuple):
    """What to do about one object.

    `found` is the object as Keystone shows it, `changes` attribute -> (there, wanted), of which an
    `update` makes the wanted ones and a `keep` only shows. A password is never in `changes`.
    """

    action: str
    kind: str
    wanted: object
    found: object = None
    changes: tuple = ()
    note: str = ""

    @property
    def name(self):
        return self.wanted.name if hasattr(self.wanted, "name") else str(self.wanted)


class Surplus(NamedTuple):
    """Something that Keystone has too much: what --prune deletes, or a double of our own making."""

    name: str
    path: str

    @property
    def id(self):
        return self.path.rpartition("/")[2]


def make_plan(desired, state, *, update=False, forced=()):
    """Return the Steps for all desired objects, in the order in which they can be done.

    `update` mends what differs; users of `forced` are mended without it.
    """
    services = {(each.type, each.title): _service(each, state, update) for each in desired.services}
    steps = [_region(each, state) for each in desired.regions]
    steps += [_named("role", each, state.roles, update) for each in desired.roles]
    steps += [_named("project", each, state.projects, update) for each in desired.projects]
    steps += [_user(each, state, update or each.name in forced) for each in desired.users]
    steps += services.values()
    steps += [_implied(each, state) for each in desired.implied]
    steps += [_assignment(each, state) for each in desired.assignments]
    steps += [
        _endpoint(each, services.get((each.type, each.title)), state, update) for each in desired.endpoints
    ]
    steps += [_ec2(each, state) for each in desired.ec2]
    return steps


def find_surplus(desired, state):
    """Return what contradicts the profile, as Surplus in the order of deletion.

    That is: other endpoints of its services in its region, doubles of its services, and other roles
    of its users in its projects. Users, projects, roles and other services are never surplus.
    """
    kept, double = {}, []
    for service in desired.services:
        same = _same_service(service, state)
        same.sort(key=lambda each: (-_fit(each, desired, state), each["id"]))
        if same:
            kept[same[0]["id"]] = service
            double += same[1:]
    surplus = _surplus_endpoints(desired, state, kept)
    surplus += [_surplus_service(each) for each in double]
    return surplus + _surplus_roles(desired, state)


def find_own_doubles(desired, state):
    """Return doubles that runs of this command have made, as Surplus in the order of deletion.

    A run that could not look again, because Keystone did not answer or it was killed, leaves them. They are
    as this command makes them, description and URL included, and a service has no other endpoints than
    wanted ones.
    """
    wanted = {(each.interface, each.region, each.url) for each in desired.endpoints}
    doubles = []
    for service in desired.services if desired.endpoints else ():
        same = _same_service(service, state)
        if not same or not all(_is_as_made(service, each) for each in same):
            continue
        same.sort(key=lambda each: (-_fit(each, desired, state), each["id"]))
        of_service = [_endpoints_of(each, state) for each in same]
        if not all(_attributes_of(point) in wanted for points in of_service[1:] for point in points):
            continue
        seen = set()
        for point in sorted(of_service[0], key=lambda each: each["id"]):
            if _attributes_of(point) in seen & wanted:
                name = "endpoint %s %s %s" % (service.type, point["interface"], point["url"])
                doubles.append(Surplus(name, "/endpoints/" + point["id"]))
            seen.add(_attributes_of(point))
        doubles += [_surplus_service(each) for each in same[1:]]
    return doubles


def _is_as_made(wanted, found):
    same = found.get("name") == wanted.title and found.get("description") == wanted.description
    return bool(wanted.description) and same and found.get("enabled") is not False


def _endpoints_of(service, state):
    return [each for each in state.endpoints if each["service_id"] == service["id"]]


def _attributes_of(endpoint):
    """Return what an endpoint of this command's making is known by; None for one that is disabled."""
    if endpoint.get("enabled") is False:
        return None
    return endpoint["interface"], endpoint.get("region_id"), endpoint["url"]


def _surplus_service(found):
    name = "service %s (%s) %s" % (found.get("name", ""), found["type"], found["id"])
    return Surplus(name, "/services/" + found["id"])


def _surplus_endpoints(desired, state, kept):
    wanted = {(each.type, each.title, each.interface): each for each in desired.endpoints}
    regions = {each.region for each in desired.endpoints}
    seen, surplus = set(), []
    # The endpoint that is as wanted is kept before one that would have to be changed.
    urls = {each.url for each in desired.endpoints}
    for each in sorted(state.endpoints, key=lambda one: (one["url"] not in urls, one["id"])):
        service = kept.get(each["service_id"])
        if service is None or each.get("region_id") not in regions:
            continue
        key = (service.type, service.title, each["interface"])
        if key in wanted and key not in seen:
            seen.add(key)
            continue
        name = "endpoint %s %s %s" % (service.type, each["interface"], each["url"])
        surplus.append(Surplus(name, "/endpoints/" + each["id"]))
    return surplus


def _surplus_roles(desired, state):
    users = {state.users[each.name]["id"]: each.name for each in desired.users if each.name in state.users}
    projects = {
        state.projects[each.name]["id"]: each.name for each in desired.projects if each.name in state.projects
    }
    roles = {state.roles[each.name]["id"]: each.name for each in desired.roles if each.name in state.roles}
    wanted = set()
    for each in desired.assignments:
        wanted.add(_assignment_key(each, state))
    surplus = []
    for user, project, role in sorted(state.assignments):
        if user in users and project in projects and (user, project, role) not in wanted:
            words = (users[user], roles.get(role, role), projects[project])
            path = "/projects/%s/users/%s/roles/%s" % (project, user, role)
            surplus.append(Surplus("assignment %s: %s in %s" % words, path))
    return surplus


def _region(wanted, state):
    there = {name.lower(): name for name in state.regions}
    if wanted.name in state.regions:
        return Step(KEEP, "region", wanted, {"id": wanted.name})
    # MySQL compares the names of regions without regard to case.
    if wanted.name.lower() in there:
        name = there[wanted.name.lower()]
        return Step(KEEP, "region", wanted, {"id": name}, note="there as %s" % name)
    return Step(CREATE, "region", wanted)


def _named(kind, wanted, there, update, changes=()):
    found = there.get(wanted.name)
    if found is None:
        return Step(CREATE, kind, wanted)
    description = getattr(wanted, "description", "")
    changes = list(changes)
    if description and (found.get("description") or "") != description:
        changes.append(("description", found.get("description") or "", description))
    if found.get("enabled") is False:
        changes.append(("enabled", False, True))
    note = "" if found["name"] == wanted.name else "there as %s" % found["name"]
    return _kept_or_updated(kind, wanted, found, changes, update, note)


def _user(wanted, state, update):
    found = state.users.get(wanted.name, {})
    changes = []
    if wanted.email and (found.get("email") or "") != wanted.email:
        changes.append(("email", found.get("email") or "", wanted.email))
    if state.passwords.get(wanted.name) is False:
        changes.append(("password", "another", "the one in %s" % wanted.variable))
    return _named("user", wanted, state.users, update, changes)


def _kept_or_updated(kind, wanted, found, changes, update, note=""):
    action = UPDATE if changes and update else KEEP
    return Step(action, kind, wanted, found, tuple(changes), note)


def _same_service(wanted, state):
    return [
        each
        for each in state.services
        if each["type"] == wanted.type and (each.get("name") or "").lower() == wanted.title.lower()
    ]


def _service(wanted, state, update):
    same = _same_service(wanted, state)
    if len(same) > 1:
        ids = ", ".join(sorted(each["id"] for each in same))
        return Step(CONFLICT, "service", wanted, None, (), "it is there %d times: %s" % (len(same), ids))
    if not same:
        others = [each for each in state.services if each["type"] == wanted.type]
        if others:
            note = "the type is there as %s, id %s" % (
                others[0].get("name") or "''",
                others[0]["id"],
            )
            return Step(CONFLICT, "service", wanted, None, (), note)
        return Step(CREATE, "service", wanted)
    (found,) = same
    changes = []
    if wanted.description and (found.get("description") or "") != wanted.description:
        changes.append(("description", found.get("description") or "", wanted.description))
    if found.get("enabled") is False:
        changes.append(("enabled", False, True))
    note = "" if found["name"] == wanted.title else "there as %s" % found["name"]
    return _kept_or_updated("service", wanted, found, changes, update, note)


def _endpoint(wanted, service, state, update):
    if service is not None and service.action == CONFLICT:
        return Step(CONFLICT, "endpoint", wanted, None, (), "of the service in conflict")
    if service is None or service.found is None:
        return Step(CREATE, "endpoint", wanted)
    same = [
        each
        for each in state.endpoints
        if each["service_id"] == service.found["id"]
        and each["interface"] == wanted.interface
        and (each.get("region_id") or "").lower() == wanted.region.lower()
    ]
    if len(same) > 1:
        ids = ", ".join(sorted(each["id"] for each in same))
        return Step(CONFLICT, "endpoint", wanted, None, (), "it is there %d times: %s" % (len(same), ids))
    if not same:
        return Step(CREATE, "endpoint", wanted)
    (found,) = same
    changes = []
    if found["url"] != wanted.url:
        changes.append(("url", found["url"], wanted.url))
    if found.get("enabled") is False:
        changes.append(("enabled", False, True))
    return _kept_or_updated("endpoint", wanted, found, changes, update)


def _implied(wanted, state):
    roles = [state.roles.get(name) for name in wanted]
    there = None not in roles and (roles[0]["id"], roles[1]["id"]) in state.implied
    return Step(KEEP if there else CREATE, "implied role", wanted)


def _assignment_key(wanted, state):
    found = (
        state.users.get(wanted.user),
        state.projects.get(wanted.project),
        state.roles.get(wanted.role),
    )
    return None if None in found else tuple(each["id"] for each in found)


def _assignment(wanted, state):
    there = _assignment_key(wanted, state) in state.assignments
    return Step(KEEP if there else CREATE, "assignment", wanted)


def _ec2(wanted, state):
    project = state.projects.get(wanted.project)
    found = state.ec2.get((wanted.user, project["id"])) if project else None
    return Step(KEEP if found else CREATE, "ec2 credentials", wanted, found)


def _fit(service, desired, state):
    """Return how many wanted endpoints hang on a service that is there."""
    urls = {each.url for each in desired.endpoints}
    return sum(each["service_id"] == service["id"] and each["url"] in urls for each in state.endpoints)
