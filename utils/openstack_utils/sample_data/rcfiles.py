# SPDX-License-Identifier: MIT
"""What a person needs to use the accounts: keystonerc, ec2rc, an entry of clouds.yaml. Pure text."""

import json
import shlex

# Left over from another login, these would win against a user name and password.
RIVALS = ("OS_CLOUD", "OS_TOKEN", "OS_AUTH_TYPE", "OS_USER_ID", "OS_PROJECT_ID", "OS_TENANT_ID",
          "OS_SYSTEM_SCOPE", "OS_DOMAIN_ID", "OS_DOMAIN_NAME", "OS_TRUST_ID", "OS_SERVICE_TOKEN",
          "OS_APPLICATION_CREDENTIAL_ID", "OS_APPLICATION_CREDENTIAL_SECRET",
          "SERVICE_TOKEN", "SERVICE_ENDPOINT")  # fmt: skip


def render_keystonerc(user, password, project, *, url, domain, region, cacert=None, interface=None):
    """Return the text of a keystonerc: the variables of today's clients and of 2012's."""
    values = [
        ("OS_AUTH_URL", url),
        ("OS_IDENTITY_API_VERSION", "3"),
        ("OS_USERNAME", user),
        ("OS_PASSWORD", password),
        ("OS_PROJECT_NAME", project),
        # The name of a project until 2013.
        ("OS_TENANT_NAME", project),
        ("OS_USER_DOMAIN_ID", domain),
        ("OS_PROJECT_DOMAIN_ID", domain),
        ("OS_REGION_NAME", region),
    ]
    if interface:
        values.append(("OS_INTERFACE", interface))
    if cacert:
        values.append(("OS_CACERT", cacert))
    head = "# %s in the project %s. Use: source FILE\n" % (_plain(user), _plain(project))
    return head + "unset %s\n" % " ".join(RIVALS) + _exports(values)


def render_ec2rc(credentials):
    """Return the text of ec2rc; `credentials` are (user, access, secret)."""
    values = []
    for user, access, secret in credentials:
        name = "".join(char if char.isalnum() else "_" for char in user.upper())
        values += [(name + "_ACCESS", access), (name + "_SECRET", secret)]
    return _exports(values)


def render_clouds(clouds):
    """Return the text of a clouds.yaml; `clouds` maps names to what keystonerc is made of."""
    return "clouds:\n" + render_entries(clouds)


def render_entries(clouds):
    """Return the entries alone, indented as they stand below `clouds:`."""
    return "".join(_entry(name, cloud) for name, cloud in clouds.items())


def cloud_of(user, password, project, *, url, domain, region, cacert=None):
    """Return an entry of clouds.yaml as dictionaries."""
    auth = {
        "auth_url": url,
        "username": user,
        "password": password,
        "project_name": project,
        "user_domain_id": domain,
        "project_domain_id": domain,
    }
    cloud = {"auth": auth, "region_name": region, "identity_api_version": "3"}
    if cacert:
        cloud["cacert"] = cacert
    return cloud


def _entry(name, cloud):
    lines = ["  %s:" % json.dumps(name)]
    for key, value in cloud.items():
        if isinstance(value, dict):
            lines.append("    %s:" % key)
            lines += ["      %s: %s" % (inner, json.dumps(text)) for inner, text in value.items()]
        else:
            lines.append("    %s: %s" % (key, json.dumps(value)))
    return "\n".join(lines) + "\n"


def _exports(values):
    return "".join("export %s=%s\n" % (name, shlex.quote(value)) for name, value in values)


def _plain(text):
    return "".join(char if char.isprintable() else "?" for char in text)
