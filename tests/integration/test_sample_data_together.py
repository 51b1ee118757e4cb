# SPDX-License-Identifier: MIT
"""openstack-keystone-sample-data when two runs meet, and when it is killed between any two of its writes."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
from pathlib import Path

import pytest

from tests.rig.plane import proxy as proxies
from tests.rig.plane.proxy import Fault
from tests.support.filling import Keystone, Person, wait_for

pytestmark = pytest.mark.skipif(shutil.which("mariadbd") is None, reason="needs mariadb-server")
WRITES = ("POST", "PUT", "PATCH")


@pytest.fixture
def person(keystone: Keystone, tmp_path: Path) -> Person:
    keystone.reset("fresh")
    return Person(keystone, tmp_path)


def catalog(keystone: Keystone) -> tuple[list[tuple[str, str]], list[tuple[str, str, str]]]:
    """Return (type, name) of the services, and (type, interface, region) of the endpoints, with doubles."""
    admin = keystone.admin()
    services = {each["id"]: each for each in admin.call("GET", "/services")["services"]}
    endpoints = [
        (services[each["service_id"]]["type"], each["interface"], each["region_id"])
        for each in admin.call("GET", "/endpoints")["endpoints"]
    ]
    return sorted((each["type"], each["name"]) for each in services.values()), sorted(endpoints)


def test_what_two_runs_have_made_at_the_same_time_is_there_once(person: Person, keystone: Keystone) -> None:
    first = person.fill("--service", "glance")
    alone = catalog(keystone)

    # The second has looked before the first began to write: it sees no service and no endpoint.
    with proxies.in_front_of(keystone.port) as proxy:
        for kind in ("services", "endpoints"):
            nothing = b'{"%s": [], "links": {}}' % kind.encode()
            proxy.faults.append(
                Fault(method="GET", path=f"/v3/{kind}$", times=1, rewrite=lambda _, nothing=nothing: nothing)
            )
        second = person.fill("--service", "glance", SERVICE_ENDPOINT=f"{proxy.url}/v3")

    assert (first.code, second.code) == (0, 0), second.err
    assert "removed    service glance (image), which another run has made too" in second.err
    assert catalog(keystone) == alone
    assert len(set(alone[1])) == len(alone[1]) == 6


def without_glance(body: bytes) -> bytes:
    """Return Keystone's list of services as it was before Glance's."""
    services = [each for each in json.loads(body)["services"] if each["name"] != "glance"]
    return json.dumps({"services": services, "links": {}}).encode()


def test_doubles_of_a_run_that_could_not_look_again_are_gone_after_the_next(
    person: Person, keystone: Keystone
) -> None:
    person.fill("--service", "glance")
    alone = catalog(keystone)
    # Another run has looked before that one began to write, and gets no answer when it looks again.
    with proxies.in_front_of(keystone.port) as proxy:
        proxy.faults += [
            Fault(method="GET", path="/v3/services$", times=1, rewrite=without_glance),
            Fault(method="GET", path="/v3/services$", status=503),
        ]
        cut = person.fill("--service", "glance", SERVICE_ENDPOINT=f"{proxy.url}/v3")
    left = catalog(keystone)

    foreseen = person.fill("--service", "glance", "--dry-run", "--json")
    after_dry_run = catalog(keystone)
    done = person.fill("--service", "glance", "--json")

    assert cut.code == 5, cut.err
    assert len(left[0]) > len(set(left[0]))
    assert foreseen.json["summary"]["deleted"] == done.json["summary"]["deleted"] > 0
    assert (foreseen.code, after_dry_run) == (0, left)
    assert "double     service glance (image)" in done.err
    assert (done.code, catalog(keystone)) == (0, alone)


def test_two_processes_at_once_leave_no_doubles(keystone: Keystone, tmp_path: Path) -> None:
    keystone.reset("fresh")
    few = ("--service", "nova", "glance", "neutron")
    people = [Person(keystone, tmp_path / name) for name in ("one", "other")]
    both = threading.Barrier(2, timeout=600)

    def when_both_have_looked(body: bytes) -> bytes:
        both.wait()
        return body

    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(proxies.in_front_of(keystone.port))
        # Neither begins to write before the other has looked.
        proxy.faults.append(Fault(method="GET", path="/v3/services$", times=2, rewrite=when_both_have_looked))
        for person in people:
            person.folder.mkdir()
        processes = [
            stack.enter_context(person.filling(*few, "--timeout", "600", SERVICE_ENDPOINT=f"{proxy.url}/v3"))
            for person in people
        ]
        ended = [(process.communicate(timeout=900), process.returncode) for process in processes]
    after = people[0].fill(*few, "--json")

    assert [code for _, code in ended] == [0, 0], ended
    # Both were under way: what one of them made the other found, or took its own double away.
    assert any("made by somebody else just now" in out + err or "removed" in err for (out, err), _ in ended)
    assert set(after.results().values()) == {"unchanged"}
    services, endpoints = catalog(keystone)
    assert len(services) == len(set(services)) >= 4
    assert len(endpoints) == len(set(endpoints)) >= 3 * 4


@pytest.mark.parametrize("writes", [0, 1, 2, 4, 6, 8])
def test_killed_between_its_writes_the_next_run_makes_the_rest_once(
    person: Person, keystone: Keystone, writes: int
) -> None:
    words = ("--service", "glance", "--generate-passwords")
    with proxies.in_front_of(keystone.port) as proxy:
        left, lock = [writes], threading.Lock()

        def fault_for(method: str, path: str) -> Fault:
            # So many writes get through, whichever they are; the next ones wait until the end.
            if method not in WRITES or path.endswith("/auth/tokens"):
                return Fault(method=method, path=path)
            with lock:
                left[0] -= 1
                return Fault(method=method, path=path, hang=600 if left[0] < 0 else 0)

        proxy.fault_for = fault_for  # type: ignore[method-assign]
        with person.filling(*words, SERVICE_ENDPOINT=f"{proxy.url}/v3") as process:
            wait_for(lambda: left[0] < 0)
            process.kill()

    run = person.fill(*words)
    again = person.fill(*words, "--json")

    assert run.code == 0, run.err
    assert set(again.results().values()) == {"unchanged"}
    services, endpoints = catalog(keystone)
    assert len(services) == len(set(services)) == 2
    assert len(endpoints) == len(set(endpoints)) == 6
    for user in ("demo", "glance"):
        assert keystone.log_in(user, person.passwords()[f"{user.upper()}_PASSWORD"]) is not None
