# SPDX-License-Identifier: MIT
"""What objects of Keystone cost when each is made by itself: by a command of the openstack client, or by a
bare request. The first is what openstack-keystone-sample-data is compared with, the second its floor."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.filling import ADMIN_TOKEN, FRESH_PASSWORD, Keystone, Person

EC2 = "ec2 credentials create"
# Kind -> the commands that make one object of it each, ten in all; they can be run on a fresh Keystone in
# this order. Users and assignments differ most from the rest, and endpoints are what most is made of.
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "project": ("project create bench-project",),
    "user": ("user create --password pw bench-user", "user create --password pw bench-other"),
    "role": ("role create bench-role",),
    "assignment": (
        "role add --user bench-user --project bench-project member",
        "role add --user bench-other --project bench-project member",
    ),
    "service": ("service create --name bench-a bench-type",),
    "endpoint": (
        "endpoint create --region RegionOne bench-type public http://127.0.0.1:1",
        "endpoint create --region RegionOne bench-type admin http://127.0.0.1:1",
    ),
    "ec2 credentials": (f"{EC2} --user bench-user --project bench-project",),
}
LOGIN = "login"
# How many requests of a kind are sent: the clock of processor time ticks every 10 ms.
REQUESTS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """Seconds for one: on the clock, and of the processors that Keystone and MariaDB took."""

    wall: float
    cpu: float = 0.0


def scale(made: Mapping[str, int], costs: Mapping[str, Cost]) -> Cost:
    """Return what these objects (kind -> number) cost one after another."""
    return Cost(
        wall=sum(number * costs[kind].wall for kind, number in made.items()),
        cpu=sum(number * costs[kind].cpu for kind, number in made.items()),
    )


def server_cpu(keystone: Keystone) -> float:
    """Return the CPU seconds that Keystone and MariaDB have taken so far (proc(5), stat)."""
    pids = [server.process.pid for server in keystone.plane.servers]
    workers = [int(word) for pid in pids for word in _children(pid).split()]
    ticks = 0
    for pid in [*pids, *workers]:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> str:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text()


def measure_commands(keystone: Keystone, *, by_token: bool = False) -> dict[str, Cost] | None:
    """Return what one command of the openstack client costs for each kind, or None where there is none.

    Args:
        by_token: admin's token of keystone.conf instead of a login; a user makes his own EC2 credentials,
            since Keystone refuses them to the token.
    """
    program = Path(sys.executable).with_name("openstack")
    if not program.exists():
        return None
    keystone.reset("fresh")
    with tempfile.TemporaryDirectory() as folder:
        person = Person(keystone, Path(folder))

        def login(user: str, password: str, project: str) -> dict[str, str]:
            return person.environment(
                OS_AUTH_URL=keystone.url,
                OS_USERNAME=user,
                OS_PASSWORD=password,
                OS_PROJECT_NAME=project,
                OS_USER_DOMAIN_ID="default",
                OS_PROJECT_DOMAIN_ID="default",
                OS_IDENTITY_API_VERSION="3",
            )

        admin = login("admin", FRESH_PASSWORD, "admin")
        if by_token:
            admin = person.environment(
                OS_AUTH_TYPE="admin_token",
                OS_ENDPOINT=keystone.url,
                OS_TOKEN=ADMIN_TOKEN,
                OS_IDENTITY_API_VERSION="3",
            )

        def run(words: str) -> float:
            env = admin
            if by_token and words.startswith(EC2):
                env, words = login("bench-user", "pw", "bench-project"), EC2
            elif by_token and words.startswith(("project", "user")):
                # The token is of no domain.
                words += " --domain default"
            started = time.perf_counter()
            argv = [str(program), *words.split()]
            done = subprocess.run(argv, env=env, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"error: openstack {words}: {done.stderr.strip()}")
            return time.perf_counter() - started

        # Not counted: Python compiles the client, and Keystone reads its policies.
        run("role list")
        return {
            kind: Cost(wall=sum(map(run, commands)) / len(commands)) for kind, commands in COMMANDS.items()
        }


def measure_requests(keystone: Keystone) -> dict[str, Cost]:
    """Return what one request costs for each kind, and a login: nothing is read, and all go one by one."""
    keystone.reset("fresh")
    bare = _Bare(keystone)
    bare.log_in(0)
    costs = {}
    for kind, send in bare.kinds().items():
        cpu, started = server_cpu(keystone), time.perf_counter()
        for number in range(REQUESTS):
            send(number)
        wall = time.perf_counter() - started
        costs[kind] = Cost(wall=wall / REQUESTS, cpu=(server_cpu(keystone) - cpu) / REQUESTS)
    return costs


@dataclass
class _Bare:
    """Requests on one connection, each for one object."""

    keystone: Keystone
    ids: dict[tuple[str, int], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.keystone.port, timeout=60)
        self._token = ""

    def kinds(self) -> dict[str, Callable[[int], object]]:
        """Return kind -> what makes object number N of it, in an order that works."""
        return {
            LOGIN: self.log_in,
            "project": lambda n: self._create("project", n, name=f"bare-{n}", domain_id="default"),
            "user": lambda n: self._create(
                "user", n, name=f"bare-{n}", domain_id="default", password="pw", email="bare@example.com"
            ),
            "role": lambda n: self._create("role", n, name=f"bare-{n}"),
            "assignment": lambda n: self._send(
                "PUT",
                f"/projects/{self.ids['project', n]}/users/{self.ids['user', n]}/roles/{self.ids['role', n]}",
            ),
            "service": lambda n: self._create("service", n, name=f"bare-{n}", type=f"bare-{n}"),
            "endpoint": lambda n: self._create(
                "endpoint",
                n,
                service_id=self.ids["service", n],
                interface="public",
                region_id="RegionOne",
                url="http://127.0.0.1:1",
            ),
            "ec2 credentials": lambda n: self._send(
                "POST",
                f"/users/{self.ids['user', n]}/credentials/OS-EC2",
                {"tenant_id": self.ids["project", n]},
            ),
        }

    def log_in(self, _: int) -> None:
        """Get a token."""
        name = {"name": "admin", "domain": {"id": "default"}}
        identity = {"methods": ["password"], "password": {"user": name | {"password": FRESH_PASSWORD}}}
        auth = {"identity": identity, "scope": {"project": name}}
        self._token = ""
        self._token = self._send("POST", "/auth/tokens", {"auth": auth})[0]

    def _create(self, kind: str, number: int, **attributes: object) -> None:
        self.ids[kind, number] = self._send("POST", f"/{kind}s", {kind: attributes})[1][kind]["id"]

    def _send(self, method: str, path: str, body: object = None) -> tuple[str, Any]:
        headers = {"Content-Type": "application/json", "X-Auth-Token": self._token}
        self._connection.request(method, f"/v3{path}", None if body is None else json.dumps(body), headers)
        response = self._connection.getresponse()
        raw = response.read()
        if response.status >= 300:
            raise SystemExit(f"error: {method} {path}: HTTP {response.status}: {raw.decode()}")
        return response.getheader("X-Subject-Token", ""), json.loads(raw) if raw else None
