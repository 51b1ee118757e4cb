# SPDX-License-Identifier: MIT
"""openstack-keystone-sample-data: words, variables and files in; files out; man page and completion."""

import contextlib
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support.completion import offered
from tests.support.config_tool import UTILS

sys.path.insert(0, str(UTILS))

from openstack_utils.errors import UsageError
from openstack_utils.keystone import credentials
from openstack_utils.sample_data import (
    arguments,
    from_yaml,
    profiles,
    rcfiles,
)
from openstack_utils.sample_data import passwords as sample_passwords
from openstack_utils.services import load_services
from openstack_utils.storage import private_files, work_files

URL = "http://10.0.0.5:5000/v3"


PASSWORD_FILES = {
    "plain": ("A=b\n# c\n\nC_D=e f=g\n", None),
    "shell": ('export A=\'b c\' D="e\\"f" # note\n', {"A": "b c", "D": 'e"f'}),
    "equals sign": ("A=b=c\n", {"A": "b=c"}),
    "quote left open": ("A=b\nC='d\n", None),
    "no variable": ("A=b\nhello\n", None),
}


@pytest.mark.parametrize(("text", "expected"), PASSWORD_FILES.values(), ids=PASSWORD_FILES.keys())
def test_files_of_passwords_are_read_as_a_shell_does(text: str, expected: "dict | None") -> None:
    if expected is None and "C_D" not in text:
        with pytest.raises(UsageError, match=r"^f:2: "):
            sample_passwords.parse_passwords(text, "f")
        return
    found = sample_passwords.parse_passwords(text, "f")
    assert found == (expected or {"A": "b", "C_D": "e", "f": "g"})


ODD = ["it's", '"x"', "$HOME `id` \\", "a b\tc", "é", "#x", "!x", "x\ny"]


@pytest.mark.parametrize("password", ODD, ids=range(len(ODD)))
def test_keystonerc_gives_a_shell_the_password_as_it_is(tmp_path: Path, password: str) -> None:
    text = rcfiles.render_keystonerc("de mo", password, "pro;ject", url=URL, domain="default", region="R 1")
    path = tmp_path / "rc"
    path.write_text(text)
    script = (
        f'OS_TOKEN=old; . {path}; printf "%s\\0" "$OS_USERNAME" "$OS_PASSWORD" "$OS_TENANT_NAME" "$OS_TOKEN"'
    )

    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)

    assert done.stdout.decode().split("\0")[:4] == ["de mo", password, "pro;ject", ""]


def test_clouds_yaml_is_yaml_whatever_the_password() -> None:
    yaml = pytest.importorskip("yaml")
    clouds = {
        f"c{number}": rcfiles.cloud_of("u", text, "p", url=URL, domain="default", region="R", cacert="/c")
        for number, text in enumerate(ODD)
    }

    assert yaml.safe_load(rcfiles.render_clouds(clouds)) == {"clouds": clouds}


URLS = {
    "host": ("cloud.example", "http://cloud.example/v3"),
    "2012": ("http://127.0.0.1:35357/v2.0", "http://127.0.0.1:35357/v3"),
    "slash": ("https://c:5000/v3/", "https://c:5000/v3"),
    "path": ("https://c/identity", "https://c/identity/v3"),
    "IPv6": ("http://[::1]:5000", "http://[::1]:5000/v3"),
    "password in it": ("http://me:secret@c:5000", "http://c:5000/v3"),
    "no URL": ("ftp://x", None),
    "port": ("http://x:port", None),
    "empty": ("http://", None),
}


@pytest.mark.parametrize(("text", "expected"), URLS.values(), ids=URLS.keys())
def test_urls_of_both_eras_lead_to_v3(text: str, expected: "str | None") -> None:
    if expected is None:
        with pytest.raises(UsageError):
            credentials.normalise_url(text, "OS_AUTH_URL")
    else:
        assert credentials.normalise_url(text, "OS_AUTH_URL") == expected


LOGINS = {
    "password": (
        {"OS_USERNAME": "u", "OS_PASSWORD": "p", "OS_TENANT_NAME": "t", "OS_USER_DOMAIN_NAME": "D"},
        {"identity": {"methods": ["password"],
                      "password": {"user": {"name": "u", "domain": {"name": "D"}, "password": "p"}}},
         "scope": {"project": {"name": "t", "domain": {"id": "default"}}}},
    ),
    "token": (
        {"OS_TOKEN": "x", "OS_SYSTEM_SCOPE": "all"},
        {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": {"system": {"all": True}}},
    ),
    "application credential": (
        {"OS_APPLICATION_CREDENTIAL_ID": "i", "OS_APPLICATION_CREDENTIAL_SECRET": "s"},
        {"identity": {"methods": ["application_credential"],
                      "application_credential": {"id": "i", "secret": "s"}}},
    ),
    "no password": ({"OS_USERNAME": "u"}, None),
}  # fmt: skip


@pytest.mark.parametrize(("variables", "expected"), LOGINS.values(), ids=LOGINS.keys())
def test_variables_make_a_login(variables: "dict[str, str]", expected: "dict | None") -> None:
    login = credentials.from_environment({"OS_AUTH_URL": URL, **variables})

    assert (login and credentials.login_body(login)) == (expected and {"auth": expected})
    assert login is None or "'p'" not in repr(login)


BAD_WORDS = {
    "unknown option": (["--nope"], {}, "unrecognized arguments: --nope"),
    "password in argv": (["--admin-password", "x"], {}, "unrecognized arguments"),
    "file and profile": (["--file", "x", "--profile", "essex"], {}, "exclude each other"),
    "strict and current": (["--strict-2012"], {}, "--strict-2012 goes with --profile essex"),
    "yes alone": (["--yes"], {}, "--yes goes with --prune"),
    "port": ([], {"KEYSTONE_PORT": "x"}, '"x" is not a port'),
    "seconds": (["--wait", "-1"], {}, "is not a number of seconds"),
    "both eras": ([], {"ENABLE_ENDPOINTS": "1", "DISABLE_ENDPOINTS": "1"}, "are both set"),
}


@pytest.mark.parametrize(("words", "variables", "message"), BAD_WORDS.values(), ids=BAD_WORDS.keys())
def test_wrong_words_are_refused(words: "list[str]", variables: "dict[str, str]", message: str) -> None:
    with pytest.raises(UsageError, match=message):
        arguments.parse(words, variables)


def test_options_win_over_variables() -> None:
    variables = {
        "DISABLE_ENDPOINTS": "1", "ENABLE_SWIFT": "1", "CONTROLLER_ADMIN_ADDRESS": "a",
        "KEYSTONE_PORT": "5001",
        "CONTROLLER_PUBLIC_ADDRESS": "p", "KEYSTONE_CONF": "/c", "OS_CLOUD": "cloud",
    }  # fmt: skip

    options = arguments.parse(
        ["--profile=essex", "--public-address", "q", "--service", "a", "b,c"], variables
    )

    assert options.endpoints is False
    assert options.optional == ("swift",)
    assert options.addresses == {"public": "q", "internal": None, "admin": "a"}
    assert (options.port, options.keystone_conf, options.os_cloud) == (5001, "/c", "cloud")
    assert options.services == ("a", "b", "c")
    assert arguments.parse([], {"ENABLE_ENDPOINTS": "1"}).endpoints is True
    assert arguments.parse(["--endpoints"], variables).endpoints is True
    assert arguments.parse(["--no-endpoints"], {"ENABLE_ENDPOINTS": "1"}).endpoints is False


BAD_FILES = {
    "unknown key": ("roles: [a]\nprojets: {}\n", '2: unknown key "projets"'),
    "form": ("roles: [a]\nprojects: [b]\n", "2: a mapping is wanted here"),
    "unknown role": (
        "projects: {p: }\nusers: {u: {password: x}}\nassignments:\n- {user: u, project: p, roles: [r]}\n",
        "4: role r is not one of roles",
    ),
    "unknown user": (
        "projects: {p: }\nassignments:\n- {user: u, project: p, roles: []}\n",
        "3: user u is not",
    ),
    "no password": ("users:\n  u:\n", "2: user u has no password"),
    "missing": ("services:\n- {name: x}\n", "2: type is missing"),
    "twice": ("projects:\n  p: a\n  p: b\n", "3: p is there twice"),
    "type twice": ("services:\n- {type: t, name: a}\n- {type: t, name: b}\n", "3: the type t is there twice"),
    "not YAML": ("a: [\n", "not YAML"),
    "too deep": ("[" * 5000, "it is nested too deeply"),
    "empty": ("", "the file is empty"),
    "text": ("users: {u: {password: [a]}}\n", "1: a text is wanted here"),
}


@pytest.mark.parametrize(("text", "message"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_mistakes_in_a_file_are_reported_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    passwords = sample_passwords.Passwords({}, {})

    with pytest.raises(UsageError) as caught:
        from_yaml.read_desired(str(path), profiles.Choices("", URL), passwords)

    lines = caught.value.message.split("\n")
    assert any(f"{path}:" in line and message in line for line in lines), lines


def test_a_file_gives_the_objects_that_it_names(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        "projects: {no: }\nroles: [r, s]\nimplied: {r: [s]}\nusers:\n  u-1: {email: 1}\n"
        "assignments:\n- {user: u-1, project: no, roles: [r]}\nec2:\n- {user: u-1, project: no}\n"
        "services:\n- {type: identity, name: keystone}\n"
        "- {type: t, name: x, public: 'http://{host}:1', admin: a}\n"
    )
    passwords = sample_passwords.Passwords({}, {"U_1_PASSWORD": "p"})

    desired = from_yaml.read_desired(str(path), profiles.Choices("", URL), passwords)

    (user,) = desired.users
    assert (user.name, user.password, user.variable, user.email, user.home) == (
        "u-1",
        "p",
        "U_1_PASSWORD",
        "1",
        "no",
    )
    assert {(each.type, each.interface): each.url for each in desired.endpoints} == {
        ("identity", "public"): URL, ("identity", "internal"): URL, ("identity", "admin"): URL,
        ("t", "public"): "http://10.0.0.5:1", ("t", "admin"): "a",
    }  # fmt: skip
    assert [tuple(each) for each in desired.implied] == [("r", "s")]


def test_private_files_are_never_open_to_others_and_stale_ones_go(tmp_path: Path) -> None:
    path, link = tmp_path / "rc", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o644)
    link.symlink_to(path)
    (tmp_path / ".rc.openstack-utils.0123abcd").write_text("half")

    work_files.remove_stale_in(str(tmp_path))
    assert private_files.write_private(str(link), "new") is True
    assert private_files.write_private(str(link), "new") is False

    assert link.is_symlink()
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "rc"]


LAUNCHER = UTILS / "bin" / "openstack-keystone-sample-data"


def test_without_pyyaml_a_file_is_refused_and_a_profile_works(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("roles: [a]\n")
    code = (
        "import sys; sys.modules['yaml'] = None; sys.path.insert(0, sys.argv.pop(1));"
        "from openstack_utils.sample_data.command import main; sys.exit(main())"
    )
    words = [sys.executable, "-I", "-c", code, str(UTILS)]

    asked = subprocess.run(
        [*words, "--file", "own.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False, env={}
    )
    helped = subprocess.run([*words, "--help"], capture_output=True, text=True, check=False)

    assert asked.returncode == 4
    assert "hint: install python3-pyyaml" in asked.stderr
    assert helped.returncode == 0


def test_help_names_every_option_that_the_man_page_and_the_completion_know() -> None:
    done = subprocess.run(
        [sys.executable, "-I", LAUNCHER, "--help"], capture_output=True, text=True, check=True
    )
    parser = arguments.make_parser()
    options = [text for action in parser._actions for text in action.option_strings if text.startswith("--")]
    page = (UTILS / "man/openstack-keystone-sample-data.1").read_text().replace("\\-", "-")
    completion = (UTILS / "completion/openstack-keystone-sample-data").read_text()

    assert "ADMIN_PASSWORD=verysecret" in done.stdout
    for option in options:
        assert option in done.stdout
        assert option in completion
        assert option in page or option in ("--quiet", "--verbose", "--version", "--help")


def test_output_is_utf8_in_every_locale_and_a_full_disk_is_reported() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from openstack_utils import errors; from openstack_utils.host import console;"
        "console = console.Console(); console.say('\\xe4 \\udce9');"
        "\ntry: console.result('\\xe4\\n')\nexcept errors.UtilityError as error: console.error(error)"
    )
    words = [sys.executable, "-I", "-c", code, str(UTILS)]
    plain = subprocess.run(words, capture_output=True, check=True, env={"LC_ALL": "POSIX", "PYTHONUTF8": "0"})
    with open("/dev/full", "w") as full:
        reported = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, check=True, env={})

    assert (plain.stdout, plain.stderr) == ("ä\n".encode(), "ä \\udce9\n".encode())
    assert reported.stderr.decode().splitlines()[1:] == ["error: stdout: no space left on device"]


COMPLETIONS = {
    "profile": (["--profile", "e"], ["essex"]),
    "option": (["--dr"], ["--dry-run"]),
    "services": (["--service", "nova", "gl"], ["glance"]),
    "after =": (["--bootstrap", "=", "al"], ["always"]),
}


@pytest.mark.parametrize(("words", "expected"), COMPLETIONS.values(), ids=COMPLETIONS.keys())
def test_completion_offers_what_fits(tmp_path: Path, words: "list[str]", expected: "list[str]") -> None:
    assert offered(tmp_path, ["openstack-keystone-sample-data", *words]) == expected


def test_completion_offers_every_service_and_profile(tmp_path: Path) -> None:
    catalogue = load_services()
    projects = catalogue["projects"].items()
    have = {name for name, each in projects for facts in each["releases"].values() if facts["endpoints"]}

    services = offered(tmp_path, ["openstack-keystone-sample-data", "--service", ""])
    known = offered(tmp_path, ["openstack-keystone-sample-data", "--profile", ""])

    assert set(services) == have | {"quantum"}
    assert known == profiles.profiles(catalogue)


KEYSTONE = "is not the URL of a Keystone"
ADDRESSES = {
    "half a bracket": (["--auth-url", "http://[::1"], {}, f'--auth-url: "http://[::1" {KEYSTONE}'),
    "a name in brackets": (["--auth-url", "http://[x]:1"], {}, f'--auth-url: "http://[x]:1" {KEYSTONE}'),
    "colons": (["--auth-url", ":::"], {}, f'--auth-url: ":::" {KEYSTONE}'),
    "no port": (["--auth-url", "http://h:port"], {}, f'--auth-url: "http://h:port" {KEYSTONE}'),
    "too high a port": (["--auth-url", "http://h:99999"], {}, f'--auth-url: "http://h:99999" {KEYSTONE}'),
    "blank": (
        [], {"OS_AUTH_URL": "http://a b/v3", "OS_USERNAME": "a", "OS_PASSWORD": "b"},
        f'OS_AUTH_URL: "http://a b/v3" {KEYSTONE}',
    ),
    "endpoint": ([], {"SERVICE_ENDPOINT": "http://[::1"}, f'SERVICE_ENDPOINT: "http://[::1" {KEYSTONE}'),
    "proxy with a password": (
        ["--auth-url", "http://example.com"], {"http_proxy": "http://user:pa/ss@host:3128"},
        'http_proxy: "***@host:3128" is not the URL of a proxy',
    ),
    "address": (
        ["--public-address", "a b"], {}, '--public-address: "a b" is not the name or address of a host',
    ),
    "address with a path": (
        [], {"CONTROLLER_ADMIN_ADDRESS": "x/y#z"},
        'CONTROLLER_ADMIN_ADDRESS: "x/y#z" is not the name or address of a host',
    ),
    "address with a port": (
        ["--internal-address", "h:80"], {}, '--internal-address: "h:80" is not the name or address of a host',
    ),
    "no time": (["--timeout", "0"], {}, "argument --timeout: a request needs more than 0 seconds"),
}  # fmt: skip


@pytest.mark.parametrize(("words", "variables", "said"), ADDRESSES.values(), ids=ADDRESSES)
def test_malformed_address_is_named_with_its_source(
    tmp_path: Path, words: list[str], variables: dict[str, str], said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-I", LAUNCHER, "--wait", "0", "--dry-run", *words],
        env=variables, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == f"error: {said}"


CLOUDS = {
    "auth is a text": ("clouds:\n  x:\n    auth: y\n", "clouds.yaml:3: cloud x: auth: is not a mapping"),
    "auth_url": (
        'clouds:\n  x:\n    auth:\n      auth_url: "http://[::1"\n      username: a\n      password: b\n',
        'clouds.yaml:4: "http://[::1" is not the URL of a Keystone',
    ),
    "a list": ("clouds:\n  x:\n    - a\n", "clouds.yaml:2: cloud x is not a mapping"),
    "no auth": ("clouds:\n  x:\n    region_name: a\n", "clouds.yaml:2: cloud x: auth has no auth_url"),
    "no password": (
        "clouds:\n  x:\n    auth:\n      auth_url: http://[::1]:5000\n      username: a\n",
        "clouds.yaml:3: cloud x: auth has no password",
    ),
    "not YAML": (
        "clouds: [\n",
        "clouds.yaml:2: not YAML: expected the node content, but found '<stream end>'",
    ),
    "too deep": ("clouds: " + "[" * 5000, "clouds.yaml: it is nested too deeply"),
    "no truth": (
        "clouds:\n  x:\n    verify: !!bool maybe\n",
        "clouds.yaml: a value is not of its type: 'maybe'",
    ),
    "no clouds": ("a: 1\nclouds:\n- x\n", "clouds.yaml:2: no mapping clouds: at the top"),
}


@pytest.mark.parametrize(("text", "said"), CLOUDS.values(), ids=CLOUDS)
def test_malformed_cloud_is_named_with_its_file_and_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "clouds.yaml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-I", LAUNCHER, "--os-cloud", "x", "--dry-run"],
        env={}, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr.splitlines()[0]) == (2, f"error: {said}")


@pytest.mark.parametrize("text", ["  clouds:\n    a: {}\n", "other: 1\n", "clouds: {a: {}}\n"])
def test_clouds_file_that_cannot_be_added_to_is_refused_before_keystone_is_asked(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    done = subprocess.run(
        [sys.executable, "-I", LAUNCHER, "--clouds-file", path, "--auth-url", "http://127.0.0.1:1"],
        env={}, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, path.read_text()) == (2, text)
    assert done.stderr.startswith(f"error: {path}: ")


PORTS = {
    "https at a port of http": (
        "https", b"HTTP/1.0 400 Bad Request\r\n\r\n", "is the URL http://, not https://?",
    ),
    "not HTTP": ("http", b"SSH-2.0-OpenSSH_9.6\r\n", "is that Keystone's port?"),
    "closed": ("http", b"", "does the port speak https, or is it not Keystone's?"),
    "Glance": (
        "http", b"HTTP/1.0 300 Multiple Choices\r\nContent-Length: 2\r\n\r\n{}",
        "is that the address of a Keystone with the Identity API v3?",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("scheme", "answer", "hint"), PORTS.values(), ids=PORTS)
def test_a_port_that_is_not_keystones_gets_a_hint_that_fits(
    tmp_path: Path, scheme: str, answer: bytes, hint: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        url = f"{scheme}://127.0.0.1:{server.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-I", LAUNCHER, "--auth-url", url, "--wait", "0", "--dry-run"],
            env={"ADMIN_PASSWORD": "pw"}, cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        server.shutdown(socket.SHUT_RDWR)

    assert done.returncode == 5, done.stderr
    assert done.stderr.splitlines()[-1].startswith("hint: ")
    assert hint in done.stderr
