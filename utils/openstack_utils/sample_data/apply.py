# SPDX-License-Identifier: MIT
"""Does the steps of a plan: one request each, those that need nothing of each other at the same time.

It stops at the first failure and knows what was and what was not done; since every step is found by
its natural key, the next run goes on where this one ended.
"""

import threading
import time
from typing import NamedTuple
from urllib.parse import quote

from ..host.workers import Task
from ..keystone.client import RemoteError
from . import doubles
from . import plan as sample_plan
from .model import Assignment, Ec2, Endpoint, Implied
from .state import find

COLLECTIONS = {
    "region": "regions",
    "role": "roles",
    "project": "projects",
    "user": "users",
    "service": "services",
    "endpoint": "endpoints",
}
RESULTS = {
    sample_plan.CREATE: "created",
    sample_plan.UPDATE: "updated",
    sample_plan.KEEP: "unchanged",
    sample_plan.CONFLICT: "conflict",
}
NOT_DONE = "not done"
# How often what two runs have taken away from each other is made again.
ROUNDS = 3


class StepOutcome(NamedTuple):
    """How a step ended: one of RESULTS or NOT_DONE, and the object as Keystone shows it now."""

    step: sample_plan.Step
    result: str
    found: object = None
    note: str = ""


class Stopped(Exception):
    """The run stopped at a failure. `outcomes` of all steps, `cause` what failed."""

    def __init__(self, cause, outcomes):
        super().__init__(str(cause))
        self.cause = cause
        self.outcomes = outcomes


def foresee(plan):
    """Return the Outcomes that a plan would have (--dry-run)."""
    return [StepOutcome(step, RESULTS[step.action], step.found, step.note) for step in plan]


def apply_plan(session, plan, workers, *, show=None, note=None):
    """Do the steps in the Keystone of a Session; return their StepOutcomes in the same order.

    The password of the user who is logged in is changed after everything else: it revokes the token.
    `show(outcome)` is called for each change as soon as it is made, `note(text)` for what is taken away
    because another run has made it too. Raises Stopped at the first failure.
    """
    run = _Run(session, plan, show)
    last = [step for step in run.open if _is_own_password(step, session.user_id)]
    try:
        workers.run_tasks([run.task(step) for step in run.open if step not in last])
        for _ in range(ROUNDS):
            lost = doubles.mend(session, run.outcomes(), note or (lambda _text: None))
            if not lost:
                break
            workers.run_tasks([run.task(step) for step in run.with_endpoints(lost)])
        workers.run_tasks([run.task(step) for step in last])
    except (RemoteError, KeyboardInterrupt) as cause:
        raise Stopped(cause, run.outcomes()) from None
    if any(change[0] == "password" for step in run.open for change in step.changes):
        # A changed password revokes the user's tokens up to the second in which it was changed. Whoever
        # logs in right after this run must not get one of that second.
        time.sleep(1)
    return run.outcomes()


def request_for(step, ids, domain):
    """Return (method, path, body) of a step to create or update. `ids` maps (kind, name) to ids. Pure."""
    wanted, kind = step.wanted, step.kind
    if step.action == sample_plan.UPDATE:
        body = {name: value for name, _, value in step.changes}
        if "password" in body:
            body["password"] = wanted.password
        return "PATCH", "/%s/%s" % (COLLECTIONS[kind], step.found["id"]), {kind: body}
    if kind == "implied role":
        path = "/roles/%s/implies/%s" % (ids["role", wanted.prior], ids["role", wanted.implied])
        return "PUT", path, None
    if kind == "assignment":
        words = (ids["project", wanted.project], ids["user", wanted.user], ids["role", wanted.role])
        return "PUT", "/projects/%s/users/%s/roles/%s" % words, None
    if kind == "ec2 credentials":
        path = "/users/%s/credentials/OS-EC2" % ids["user", wanted.user]
        return "POST", path, {"tenant_id": ids["project", wanted.project]}
    if kind == "region":
        # PUT with the name in the path makes the same region once, however often it is sent.
        return "PUT", "/regions/" + quote(wanted.name, safe=""), {"region": {}}
    return "POST", "/" + COLLECTIONS[kind], {kind: _attributes(wanted, kind, ids, domain)}


def needs_of(wanted):
    """Return the keys, (kind, name), of the objects that must be there before `wanted` can be made."""
    if isinstance(wanted, Implied):
        return ("role", wanted.prior), ("role", wanted.implied)
    if isinstance(wanted, Assignment):
        return ("project", wanted.project), ("user", wanted.user), ("role", wanted.role)
    if isinstance(wanted, Endpoint):
        return ("service", (wanted.type, wanted.title)), ("region", wanted.region)
    if isinstance(wanted, Ec2):
        return ("user", wanted.user), ("project", wanted.project)
    return ()


def _attributes(wanted, kind, ids, domain):
    if kind == "role":
        return {"name": wanted.name}
    if kind == "project":
        return {"name": wanted.name, "domain_id": domain, "description": wanted.description}
    if kind == "user":
        body = {
            "name": wanted.name,
            "domain_id": domain,
            "password": wanted.password,
            "enabled": True,
        }
        optional = {"email": wanted.email, "description": wanted.description}
        body.update({name: value for name, value in optional.items() if value})
        return body
    if kind == "service":
        return {"type": wanted.type, "name": wanted.title, "description": wanted.description}
    return {
        "service_id": ids["service", (wanted.type, wanted.title)],
        "interface": wanted.interface,
        "region_id": ids["region", wanted.region],
        "url": wanted.url,
    }


def _is_own_password(step, own_id):
    return (
        step.kind == "user"
        and step.action == sample_plan.UPDATE
        and step.found["id"] == own_id
        and any(change[0] == "password" for change in step.changes)
    )


class _Run:
    """What is known while the steps are done."""

    def __init__(self, session, plan, show):
        self.session = session
        self.plan = plan
        self.show = show
        self.done = {}
        self.ids = {}
        self.lock = threading.Lock()
        for step in plan:
            if step.found is not None and "id" in step.found:
                self.ids[_key(step)] = step.found["id"]
        self.users = {step.wanted.name: step.wanted for step in plan if step.kind == "user"}
        self.open = [step for step in plan if step.action in (sample_plan.CREATE, sample_plan.UPDATE)]

    def task(self, step):
        changes = [change[0] for change in step.changes]
        slow = step.kind == "user" and (step.found is None or "password" in changes)
        needs = needs_of(step.wanted)
        if step.kind == "ec2 credentials":
            # Whoever makes his own has to be in the project.
            needs += tuple(_key(each) for each in self.plan if _puts_in_place(each, step.wanted))
        return Task(lambda: self._do(step), _key(step), needs, slow)

    def outcomes(self):
        done = []
        for step in self.plan:
            outcome = self.done.get(id(step))
            if outcome is None and step in self.open:
                outcome = StepOutcome(step, NOT_DONE)
            done.append(outcome or StepOutcome(step, RESULTS[step.action], step.found, step.note))
        return done

    def with_endpoints(self, steps):
        """Return steps, and those of the endpoints that have gone with their services."""
        services = [_key(step) for step in steps if step.kind == "service"]
        gone = [
            step for step in self.open if step.kind == "endpoint" and needs_of(step.wanted)[0] in services
        ]
        return steps + [step for step in gone if step not in steps]

    def _do(self, step):
        method, path, body = request_for(step, self.ids, self.session.domain)
        result, note = RESULTS[step.action], step.note
        try:
            answer = self._identity_for(step).call(method, path, body)
            found = step.found if answer is None else next(iter(answer.values()))
        except RemoteError as error:
            found = self._found_meanwhile(step) if error.status == 409 else None
            if found is None:
                error.message = "%s %s: %s" % (step.kind, step.name, error.message)
                raise
            result, note = "unchanged", "made by somebody else just now"
        outcome = StepOutcome(step, result, found, note)
        with self.lock:
            self.done[id(step)] = outcome
            if found is not None and "id" in found:
                self.ids[_key(step)] = found["id"]
            if self.show is not None:
                self.show(outcome)

    def _identity_for(self, step):
        if step.kind != "ec2 credentials":
            return self.session.identity
        user, project = step.wanted
        return self.session.as_owner(self.users[user], self.ids["user", user], self.ids["project", project])

    def _found_meanwhile(self, step):
        """Return an object that Keystone says exists, though it did not when the plan was made."""
        if step.kind == "region":
            return {"id": step.wanted.name}
        if step.kind in ("implied role", "assignment"):
            # There is no more to know of it.
            return {}
        if step.action != sample_plan.CREATE or step.kind not in ("role", "project", "user"):
            return None
        query = {} if step.kind == "role" else {"domain_id": self.session.domain}
        return find(self.session.identity, COLLECTIONS[step.kind], step.wanted.name, **query)


def _puts_in_place(step, ec2):
    wanted = step.wanted
    return step.kind == "assignment" and (wanted.user, wanted.project) == (ec2.user, ec2.project)


def _key(step):
    wanted = step.wanted
    return step.kind, (wanted.type, wanted.title) if step.kind == "service" else wanted.name
