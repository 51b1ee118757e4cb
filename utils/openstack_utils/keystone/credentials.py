# SPDX-License-Identifier: MIT
"""Who logs in to Keystone: OS_* variables, clouds.yaml, SERVICE_TOKEN, or the admin of the sample data."""

import os
from typing import NamedTuple
from urllib.parse import urlunsplit

from ..errors import UsageError
from ..host.addresses import read_url
from ..yaml_file import import_yaml, translated_errors

CLOUD_FILES = (
    "clouds.yaml",
    os.path.join("~", ".config", "openstack", "clouds.yaml"),
    "/etc/openstack/clouds.yaml",
)


class Credentials(NamedTuple):
    """How to log in. `auth` are the names of keystoneauth's options; `source` says where they are from."""

    url: str
    auth: dict
    source: str
    region: str = ""
    cacert: str = ""
    insecure: bool = False
    cert: str = ""
    key: str = ""

    def __repr__(self):
        return "Login(url=%r, source=%r)" % (self.url, self.source)

    @property
    def user(self):
        """The name of the user who logs in by password, or None."""
        return self.auth.get("username") if "password" in self.auth else None


def normalise_url(url, source):
    """Return the URL of the Identity API v3 for what people write: with /v2.0, /v3, / or nothing at its end.

    `source` names where it is from. Raises UsageError.
    """
    parts = read_url(url, source, "URL of a Keystone")
    path = parts.path.rstrip("/")
    for version in ("/v2.0", "/v3"):
        if path.endswith(version):
            path = path[: -len(version)]
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, netloc, path + "/v3", "", ""))


def from_environment(environment):
    """Return a Login of the OS_* variables, or None where they are not enough for one."""
    auth = {}
    for option in (
        "username", "user_id", "password", "token", "project_name", "project_id", "user_domain_id",
        "user_domain_name", "project_domain_id", "project_domain_name", "domain_id", "domain_name",
        "system_scope", "application_credential_id", "application_credential_name",
        "application_credential_secret", "default_domain",
    ):  # fmt: skip
        value = environment.get("OS_" + option.upper())
        if value:
            auth[option] = value
    for new, old in (("project_name", "OS_TENANT_NAME"), ("project_id", "OS_TENANT_ID")):
        if new not in auth and environment.get(old):
            auth[new] = environment[old]
    if not is_enough(auth) or not environment.get("OS_AUTH_URL"):
        return None
    insecure = environment.get("OS_INSECURE", "").lower() in ("1", "true", "yes", "on")
    return Credentials(
        normalise_url(environment["OS_AUTH_URL"], "OS_AUTH_URL"),
        auth,
        "the OS_* variables",
        environment.get("OS_REGION_NAME", ""),
        environment.get("OS_CACERT", ""),
        insecure,
        environment.get("OS_CERT", ""),
        environment.get("OS_KEY", ""),
    )


def is_enough(auth):
    """Say whether these options are a login."""
    by_password = ("username" in auth or "user_id" in auth) and "password" in auth
    return by_password or "token" in auth or "application_credential_secret" in auth


def from_cloud(name, environment):
    """Return the Login of a cloud of clouds.yaml (and secure.yaml next to it).

    Raises UtilityError without PyYAML (exit 4), UsageError when there is no such cloud.
    """
    yaml = import_yaml("clouds.yaml")
    given = environment.get("OS_CLIENT_CONFIG_FILE")
    paths = [os.path.expanduser(each) for each in ((given,) if given else CLOUD_FILES)]
    there = [path for path in paths if os.path.exists(path)]
    if not there:
        message = "cloud %s: no clouds.yaml (looked for %s)" % (name, ", ".join(paths))
        raise UsageError(message, hint="OS_CLIENT_CONFIG_FILE names another")
    path = there[0]
    file = _CloudsFile(yaml, path)
    if name not in file.clouds:
        known = ", ".join(sorted(map(str, file.clouds))) or "none"
        raise UsageError("%s: no cloud %s" % (path, name), hint="it has: %s" % known)
    cloud, auth, holder = file.cloud(name), file.auth(name), file
    secure = os.path.join(os.path.dirname(path), "secure.yaml")
    if os.path.exists(secure):
        secret = _CloudsFile(yaml, secure)
        more = secret.auth(name)
        auth.update(more)
        holder = secret if "auth_url" in more else file
    url = auth.pop("auth_url", None)
    if not url or not is_enough(auth):
        message = "%s: cloud %s: auth has no %s"
        missing = "password" if url else "auth_url"
        raise UsageError(message % (file.where("clouds", name, "auth"), name, missing))
    verify = cloud.get("verify", True)
    return Credentials(
        normalise_url(str(url), holder.where("clouds", name, "auth", "auth_url")),
        {key: str(value) for key, value in auth.items() if value is not None},
        "the cloud %s of %s" % (name, path),
        str(cloud.get("region_name") or ""),
        str(cloud.get("cacert") or ""),
        verify is False or str(verify).lower() == "false",
        str(cloud.get("cert") or ""),
        str(cloud.get("key") or ""),
    )


class _CloudsFile:
    """A clouds.yaml or secure.yaml: `clouds`, and the lines on which keys stand. Raises UsageError."""

    def __init__(self, yaml, path):
        self.path = path
        self._mapping_node = yaml.MappingNode
        with translated_errors(path), open(path, encoding="utf-8") as file:
            loader = yaml.SafeLoader(file)
            try:
                self._node = loader.get_single_node()
                text = None if self._node is None else loader.construct_document(self._node)
            finally:
                loader.dispose()
        clouds = text.get("clouds") if isinstance(text, dict) else None
        if not isinstance(clouds, dict):
            raise UsageError("%s: no mapping clouds: at the top" % self.where("clouds"))
        self.clouds = clouds

    def cloud(self, name):
        """Return the mapping of a cloud, empty where there is none."""
        return self._mapping(self.clouds.get(name), name, "clouds", name)

    def auth(self, name):
        """Return the mapping auth of a cloud, empty where there is none."""
        return self._mapping(self.cloud(name).get("auth"), "%s: auth:" % name, "clouds", name, "auth")

    def where(self, *keys):
        """Return the file and the line of the innermost of the keys that is there."""
        line, node = 0, self._node
        for key in keys:
            pairs = node.value if isinstance(node, self._mapping_node) else []
            found = [pair for pair in pairs if pair[0].value == str(key)]
            if not found:
                break
            line, node = found[0][0].start_mark.line, found[0][1]
        return "%s:%d" % (self.path, line + 1)

    def _mapping(self, value, what, *keys):
        if value is not None and not isinstance(value, dict):
            raise UsageError("%s: cloud %s is not a mapping" % (self.where(*keys), what))
        return dict(value or {})


def login_body(login):
    """Return the body of POST /v3/auth/tokens. Pure."""
    auth = login.auth
    if "application_credential_secret" in auth:
        credential = {"secret": auth["application_credential_secret"]}
        if "application_credential_id" in auth:
            credential["id"] = auth["application_credential_id"]
        else:
            credential["name"] = auth.get("application_credential_name", "")
            credential["user"] = _user(auth)
        identity = {"methods": ["application_credential"], "application_credential": credential}
        return {"auth": {"identity": identity}}
    if "token" in auth and "password" not in auth:
        identity = {"methods": ["token"], "token": {"id": auth["token"]}}
    else:
        user = dict(_user(auth), password=auth["password"])
        identity = {"methods": ["password"], "password": {"user": user}}
    scope = _scope(auth)
    return {"auth": {"identity": identity, "scope": scope} if scope else {"identity": identity}}


def user_body(user_id, password, project_id=None):
    """Return the body of a user's login: for a project, or a token for nothing but oneself."""
    user = {"id": user_id, "password": password}
    identity = {"methods": ["password"], "password": {"user": user}}
    scope = {"project": {"id": project_id}} if project_id else "unscoped"
    return {"auth": {"identity": identity, "scope": scope}}


def _domain(auth, kind):
    if auth.get(kind + "_domain_id"):
        return {"id": auth[kind + "_domain_id"]}
    if auth.get(kind + "_domain_name"):
        return {"name": auth[kind + "_domain_name"]}
    return {"id": auth.get("default_domain") or auth.get("default_domain_id") or "default"}


def _user(auth):
    if "user_id" in auth:
        return {"id": auth["user_id"]}
    return {"name": auth.get("username", ""), "domain": _domain(auth, "user")}


def _scope(auth):
    if auth.get("system_scope") == "all":
        return {"system": {"all": True}}
    if "project_id" in auth:
        return {"project": {"id": auth["project_id"]}}
    if "project_name" in auth:
        return {"project": {"name": auth["project_name"], "domain": _domain(auth, "project")}}
    if "domain_id" in auth:
        return {"domain": {"id": auth["domain_id"]}}
    if "domain_name" in auth:
        return {"domain": {"name": auth["domain_name"]}}
    return None
