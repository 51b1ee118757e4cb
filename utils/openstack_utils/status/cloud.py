# SPDX-License-Identifier: MIT
"""What the cloud says of itself to who has a login: how many of what there are, and agents that are down."""

import threading
from typing import NamedTuple

from ..errors import UnreachableError
from ..keystone import credentials
from ..keystone.client import KeystoneClient, RemoteError, Transport
from .asking import LeftOut

# Types of services in Keystone's catalog; the block storage has had several.
TYPES = {
    "volume": ("block-storage", "volumev3", "volumev2"),
    "network": ("network",),
    "compute": ("compute",),
    "image": ("image",),
}
# What is added to the URL in the catalog unless it ends so already.
VERSIONS = {"image": "/v2", "network": "/v2.0"}
REFUSED = (401, 403)


class Question(NamedTuple):
    """A listing to ask for: name, type of service, path, the key of the list in the answer."""

    name: str
    kind: str
    path: str
    key: str


LISTS = (
    Question("users", "identity", "/users", "users"),
    Question("images", "image", "/images?limit=1000", "images"),
    Question("flavors", "compute", "/flavors?is_public=None&limit=1000", "flavors"),
    Question("networks", "network", "/networks?fields=id", "networks"),
    Question("servers", "compute", "/servers/detail?all_tenants=1&limit=1000", "servers"),
)
AGENTS = (
    Question("compute services", "compute", "/os-services", "services"),
    Question("network agents", "network", "/agents", "agents"),
    Question("volume services", "volume", "/os-services", "services"),
)


class Agent(NamedTuple):
    """A daemon that reports to its API: whether it is meant to work, and whether it reports."""

    name: str
    host: str
    is_enabled: bool
    is_up: bool
    since: str


class Cloud:
    """One login, shared by all questions."""

    def __init__(self, login, interface="public"):
        self.login = login
        self.interface = interface
        self.token = None
        self.catalog = {}
        self._entered = threading.Event()

    def enter(self, limit):
        """Log in; return the name of the user. Raises RemoteError."""
        try:
            body = credentials.login_body(self.login)
            headers, answer = self._client(self.login.url, limit).send("POST", "/auth/tokens", body)
            token = (answer or {}).get("token") if isinstance(answer, dict) else None
            if not token or not headers.get("X-Subject-Token"):
                message = "%s: the answer to the login is not a token" % self.login.url
                raise RemoteError(message)
            self.catalog = read_catalog(token.get("catalog") or [], self.interface, self.login.region)
            self.token = headers["X-Subject-Token"]
            return (token.get("user") or {}).get("name") or "?"
        finally:
            self._entered.set()

    def listing(self, question, limit):
        """Return the whole list that a Question asks for, None where the cloud has no such service.

        Raises LeftOut where this user may not see it, RemoteError, UnreachableError.
        """
        self._entered.wait(limit.left())
        if self.token is None:
            raise LeftOut("no login")
        url = self._url(question.kind)
        if url is None:
            return None
        path, found = question.path, []
        while path:
            client = self._client(url, limit)
            client.token = self.token
            try:
                answer = client.call("GET", path)
            except RemoteError as error:
                if error.status in REFUSED:
                    raise LeftOut("%s may not be listed by this user" % question.name) from None
                raise
            if not isinstance(answer, dict) or not isinstance(answer.get(question.key), list):
                raise UnreachableError("%s%s: the answer has no %s" % (url, path, question.key))
            found += answer[question.key]
            path = next_page(answer, question)
        return found

    def _url(self, kind):
        if kind == "identity":
            return self.login.url
        url = next((self.catalog[each] for each in TYPES[kind] if each in self.catalog), None)
        if url is None:
            return None
        url = url.rstrip("/")
        version = VERSIONS.get(kind, "")
        return url if not version or url.endswith(version) else url + version

    def _client(self, url, limit):
        login = self.login
        return KeystoneClient(Transport(
            url, cacert=login.cacert or None, insecure=login.insecure, cert=login.cert or None,
            key=login.key or None, timeout=limit.left(),
        ))  # fmt: skip


def read_catalog(catalog, interface, region):
    """Return {type: URL} of the catalog in a token. Pure."""
    found = {}
    for each in catalog:
        for endpoint in each.get("endpoints") or []:
            is_ours = not region or endpoint.get("region_id", endpoint.get("region")) == region
            if endpoint.get("interface") == interface and is_ours and endpoint.get("url"):
                found.setdefault(each.get("type"), endpoint["url"])
    return found


def next_page(answer, question):
    """Return the path of the next page, None after the last: Glance's `next`, Nova's links. Pure."""
    following = answer.get("next")
    if not following:
        links = answer.get(question.key + "_links") or []
        following = next((each.get("href") for each in links if each.get("rel") == "next"), None)
    if not following or "?" not in following:
        return None
    return question.path.partition("?")[0] + "?" + following.partition("?")[2]


def read_agents(entries):
    """Return the Agents of os-services (Nova, Cinder) or agents (Neutron). Pure."""
    return [
        Agent(
            str(each.get("binary") or each.get("agent_type") or "?"),
            str(each.get("host") or "?"),
            each["admin_state_up"] if "admin_state_up" in each else each.get("status") == "enabled",
            each["alive"] if "alive" in each else each.get("state") == "up",
            str(each.get("heartbeat_timestamp") or each.get("updated_at") or ""),
        )
        for each in entries
    ]


def find_login(name, environment):
    """Return the Login of a cloud's name, OS_CLOUD or the OS_* variables; None where there is none."""
    name = name or environment.get("OS_CLOUD")
    if name:
        return credentials.from_cloud(name, environment)
    return credentials.from_environment(environment)
