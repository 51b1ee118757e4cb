# SPDX-License-Identifier: MIT
"""What is made from the catalogue: specs, units, init scripts and accounts, as text."""

from __future__ import annotations

import base64
import configparser
import io
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import jinja2
import pytest

from builder import cli
from builder.catalogue.load import load_catalogue
from builder.catalogue.user import SystemAccount
from builder.cli.specs import read_tools
from builder.errors import BuildError
from builder.places import SPECS
from builder.render.accounts import account_provides, member_line, member_provides, sysusers_line
from builder.render.conditions import expression, makes_accounts, makes_members
from builder.render.environment import render
from builder.render.spec import render_project
from builder.render.tree import compare, render_tree
from builder.report import Report
from builder.targets import Init, load_targets, select

CATALOGUE = load_catalogue()
USERS = [user for project in CATALOGUE.projects.values() for user in project.accounts()]


def next_to_specs(suffix: str) -> list[Path]:
    """Return the committed files next to the specs whose name ends so."""
    return sorted(SPECS.glob(f"*/*/*{suffix}"))


def test_the_committed_files_are_what_the_catalogue_makes() -> None:
    files = render_tree(CATALOGUE, load_targets(), read_tools(SPECS))

    assert compare(files, CATALOGUE, SPECS) == ([], []), "run `make specs`"


def test_every_project_has_a_spec_for_each_release_it_is_packaged_in() -> None:
    for release in CATALOGUE.releases:
        packaged = [
            facts.rpm.name
            for project in CATALOGUE.projects.values()
            if (facts := project.releases.get(release)) and facts.rpm
        ]
        assert sorted(packaged) == sorted(path.stem for path in (SPECS / release).glob("*.spec"))


def test_what_differs_is_reported_and_what_nobody_makes(tmp_path: Path) -> None:
    files = render_tree(CATALOGUE, load_targets(), read_tools(SPECS))
    for file in files[2:]:
        path = tmp_path / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)
    changed = tmp_path / files[2].path
    changed.write_text("changed by hand")
    left = tmp_path / "essex/openstack-keystone/openstack-keystone.upstart"
    left.write_text("from an older catalogue")

    stale, unknown = compare(files, CATALOGUE, tmp_path)

    assert stale == [tmp_path / files[0].path, tmp_path / files[1].path, changed]
    assert unknown == [left]


def test_the_command_writes_only_what_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.cli.specs.SPECS", tmp_path)
    first, second, reported = io.StringIO(), io.StringIO(), io.StringIO()

    with pytest.raises(BuildError, match=r"\.spec differs from what the catalogue makes \(\d+ such files\)"):
        cli.run(cli.parse(["specs", "--check"]), Report(err=reported))
    assert list(tmp_path.iterdir()) == []
    assert cli.run(cli.parse(["specs"]), Report(out=first, err=reported)) == 0
    assert cli.run(cli.parse(["specs"]), Report(out=second, err=reported)) == 0
    assert cli.run(cli.parse(["specs", "--check"]), Report(err=reported)) == 0

    assert len(first.getvalue().splitlines()) == len(
        render_tree(CATALOGUE, load_targets(), read_tools(SPECS))
    )
    assert second.getvalue() == ""

    mine = tmp_path / "current/openstack-nova/mine.patch"
    mine.write_text("by hand")
    assert cli.run(cli.parse(["specs"]), Report(err=reported)) == 0
    assert mine.is_file()
    assert "mine.patch: nothing in the catalogue makes it" in reported.getvalue()
    with pytest.raises(
        BuildError, match=r"mine\.patch differs from what the catalogue makes \(1 such files\)"
    ):
        cli.run(cli.parse(["specs", "--check"]), Report(err=reported))


def test_a_name_that_a_template_does_not_get_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="directives"):
        render("logrotate", pattern="/var/log/x/*.log")


@pytest.mark.parametrize(
    ("patterns", "chosen", "expected"),
    [
        (["fedora-17", "epel-6"], lambda target: target.init is Init.SYSV, "0%{?rhel}"),
        (["*"], lambda target: target.init is Init.SYSV, "0%{?rhel} == 6"),
        (["fedora-4?", "epel-10", "fixture-12"], makes_accounts, "0%{?fedora} || 0%{?rhel}"),
        (["fedora-4?", "epel-10", "fixture-12"], makes_members, "0%{?fedora}"),
        (["epel-*"], makes_accounts, "0%{?rhel} == 10"),
        (["fedora-17", "epel-6"], makes_accounts, None),
    ],
)
def test_targets_are_distinguished_by_family_where_that_will_do(
    patterns: list[str], chosen: object, expected: str | None
) -> None:
    assert expression(select(patterns), chosen) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("user", USERS, ids=lambda user: user.name)
def test_what_rpm_reads_of_an_account_is_the_line_of_sysusers(user: SystemAccount) -> None:
    name, version = account_provides(user)[0].split(" = ")

    assert name == f"user({user.name})"
    assert re.fullmatch(r"[A-Za-z0-9+]+", version), "rpmbuild takes no other character"
    assert base64.b64decode(version).rstrip(b"\0").decode() == sysusers_line(user)
    assert sysusers_line(user).split()[:2] == ["u", user.name]


def test_membership_is_reported_in_the_same_way() -> None:
    nova = CATALOGUE.projects["nova"].user

    reported = member_provides(nova, ("qemu",))

    assert reported[0].startswith("groupmember(nova/qemu) = ")
    assert base64.b64decode(reported[0].split(" = ")[1]).rstrip(b"\0").decode() == member_line(nova, "qemu")


@pytest.mark.parametrize("path", next_to_specs(".init"), ids=lambda path: path.stem)
def test_the_header_of_an_init_script_is_complete(path: Path) -> None:
    text = path.read_text()
    header = re.search(r"^### BEGIN INIT INFO\n(.*)^### END INIT INFO$", text, re.S | re.M)
    assert header
    keys = dict(re.findall(r"^# ([\w-]+): *(.*)$", header[1], re.M))

    assert re.search(r"^# chkconfig:   - 98 02$", text, re.M)
    assert keys["Provides"] == path.stem
    assert all(keys[key] for key in ("Required-Start", "Required-Stop", "Short-Description", "Description"))
    assert re.search(rf"^prog={path.stem}$", text, re.M)
    assert "lockfile=/var/lock/subsys/$prog" in text
    assert (path.parent / f"{path.stem}.sysconfig").is_file()


def unit(release: str, package: str, name: str) -> str:
    """Return the text of a committed unit."""
    return (SPECS / release / package / f"{name}.service").read_text()


def test_a_unit_of_fedora_17_has_nothing_that_its_systemd_does_not_know() -> None:
    known = {
        "Description", "After", "Before", "Requires", "Wants", "PartOf", "Type", "User", "Group", "ExecStart",
        "EnvironmentFile", "Environment", "KillMode", "LimitNOFILE", "PrivateTmp", "WantedBy", "Alias",
    }  # fmt: skip
    for path in (SPECS / "essex").glob("*/*.service"):
        assert set(re.findall(r"^(\w+)=", path.read_text(), re.M)) <= known, path


def test_a_daemon_that_becomes_root_may_do_so_and_others_may_not() -> None:
    assert "NoNewPrivileges=yes" in unit("current", "openstack-nova", "openstack-nova-conductor")
    assert "NoNewPrivileges" not in unit("current", "openstack-nova", "openstack-nova-compute")
    for path in (SPECS / "current").glob("*/*.service"):
        text = path.read_text()
        if "rootwrap" in text or path.stem.endswith(("-agent", "-cleanup")):
            assert "NoNewPrivileges" not in text, path


def test_what_nova_does_is_waited_for_as_long_as_its_release_notes_say() -> None:
    for name in ("compute", "conductor", "scheduler"):
        text = (SPECS / "current" / "openstack-nova" / f"openstack-nova-{name}.service").read_text()

        (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
        # graceful_shutdown_timeout, as Nova sets it.
        assert int(seconds) > 180


def test_a_fix_whose_text_is_gone_stops_the_build(tmp_path: Path) -> None:
    text = (SPECS / "current" / "openstack-nova.spec").read_text()
    prep = text.partition("%prep\n%autosetup -n nova-%{version}\n")[2].partition("%if")[0]
    code = tmp_path / "nova/virt/libvirt/host.py"
    code.parent.mkdir(parents=True)
    code.write_text("        thread_pool_factory.spawn(self._conn_event_thread)\n")
    run = ["sh", "-e", "-c", prep]

    assert subprocess.run(run, cwd=tmp_path, check=False).returncode == 0
    assert code.read_text() == (
        "        threading.Thread(target=self._conn_event_thread, daemon=True).start()\n"
    )
    assert subprocess.run(run, cwd=tmp_path, check=False).returncode == 1


@pytest.mark.parametrize("name", ["neutron-ovs-cleanup", "neutron-netns-cleanup"])
def test_what_cleans_up_runs_once_before_the_agents_and_no_upgrade_restarts_it(name: str) -> None:
    text = unit("current", "openstack-neutron", name)
    spec = (SPECS / "current/openstack-neutron.spec").read_text()

    assert "Type=oneshot\nRemainAfterExit=yes\n" in text
    assert re.search(r"^Before=.*neutron-l3-agent\.service.*openstack-nova-compute\.service", text, re.M)
    assert "Restart=" not in text
    assert not re.search(rf"with_restart.*{name}", spec)
    assert f"%systemd_postun {name}.service" in spec


def test_names_of_rdo_lead_to_the_units_of_today() -> None:
    assert "\nAlias=openstack-nova-os-compute-api.service" in unit(
        "current", "openstack-nova", "openstack-nova-api"
    )


@pytest.mark.parametrize("path", next_to_specs("-uwsgi.ini"), ids=lambda path: path.stem)
def test_uwsgi_serves_the_port_of_the_catalogue(path: Path) -> None:
    project = next(
        each
        for each in CATALOGUE.projects.values()
        if (rpm := each.releases["current"].rpm if "current" in each.releases else None)
        and rpm.name == path.parent.name
    )
    service = project.releases["current"].services[path.stem.removesuffix("-uwsgi")]
    ini = configparser.ConfigParser(interpolation=None)
    ini.read(path)

    assert service.wsgi
    assert ini["uwsgi"]["module"] == service.wsgi.module
    assert ini["uwsgi"]["http-socket"] == f":{project.releases['current'].ports[service.wsgi.port]}"
    text = unit("current", path.parent.name, service.name)
    assert f"ExecStart=uwsgi --ini /etc/{project.project}/{path.name}\n" in text
    # Active when that address has answered; where it is another there, it is not waited for.
    (answer,) = re.findall(r"^ExecStartPost=-(.*)$", text, re.MULTILINE)
    assert answer.endswith(f" http://127.0.0.1{ini['uwsgi']['http-socket']}{service.wsgi.path}")


def test_static_files_of_the_dashboard_are_made_when_it_is_installed_and_go_with_it() -> None:
    spec = (SPECS / "current" / "openstack-horizon.spec").read_text()

    made = re.search(r"^%posttrans -n openstack-dashboard\n(\S+)", spec, re.MULTILINE)
    assert made
    assert f"%{{buildroot}}{made[1].replace('/usr/libexec', '%{_libexecdir}')}\n" in spec
    assert re.search(
        r"^%preun -n openstack-dashboard\nif .*\n +rm -rf /usr/share/openstack-dashboard/static/\*",
        spec,
        re.M,
    )


def test_instances_have_a_configuration_each() -> None:
    text = unit("current", "openstack-swift", "openstack-swift-object@")

    assert "ExecStart=/usr/bin/swift-object-server /etc/swift/object-server/%i.conf\n" in text


def test_a_percent_sign_in_the_changelog_is_no_macro() -> None:
    keystone = CATALOGUE.projects["keystone"]
    facts = keystone.releases["current"]
    assert facts.rpm
    change = replace(facts.rpm.changelog[0], changes=("All %files are 100% there",))
    facts = replace(facts, rpm=replace(facts.rpm, changelog=(change,)))
    changed = replace(keystone, releases={"current": facts})

    spec = render_project(changed, "current", CATALOGUE, select(["fedora-45"]), ())[0]

    assert spec.text.endswith("\n- All %%files are 100%% there\n")


def test_every_file_next_to_a_spec_is_one_of_its_sources() -> None:
    for spec in SPECS.glob("*/*.spec"):
        sources = re.findall(r"^Source(\d+): +(\S+)$", spec.read_text(), re.M)
        numbers = [int(number) for number, _ in sources]
        elsewhere = {"pyproject.py", "byte_code.py", *(tool.file for tool in read_tools(SPECS))}
        names = {name for _, name in sources if "://" not in name} - elsewhere

        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), spec
        assert numbers[0] in (0, 1)
        assert names == {path.name for path in spec.with_suffix("").iterdir()}


LIBVIRT_ASKS = (
    "sh -c 'which virt-ssh-helper 1>/dev/null 2>&1; if test $? = 0; then     "
    "virt-ssh-helper 'qemu:///system'; "
    "else    if 'nc' -q 2>&1 | grep \"requires an argument\" >/dev/null 2>&1; then ARG=-q0;else ARG=;fi;"
    "'nc' $ARG -U /var/run/libvirt/libvirt-sock; fi'"
)


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        (LIBVIRT_ASKS, True),
        ("sh -c 'virt-ssh-helper 'qemu:///system''", True),
        (f"{LIBVIRT_ASKS}; touch pwned", True),
        ("sh -c 'virt-ssh-helper 'qemu:///session''", False),
        ("virt-ssh-helper -r 'qemu:///system'", False),
        ("/usr/libexec/openssh/sftp-server", False),
        ("rm -rf /var/lib/nova/instances/x", False),
        ("$(touch pwned) `touch pwned`", False),
        ("", False),
        (None, False),
    ],
)
def test_who_migrates_reaches_libvirt_and_nothing_else(
    tmp_path: Path, asked: str | None, allowed: bool
) -> None:
    for name in ("sudo", "logger"):
        fake = tmp_path / f"bin/{name}"
        fake.parent.mkdir(exist_ok=True)
        fake.write_text(f'#!/bin/sh\nprintf "%s\\n" {name} "$@" >>{tmp_path}/{name}.ran\n')
        fake.chmod(0o755)
    asking = {} if asked is None else {"SSH_ORIGINAL_COMMAND": asked}

    done = subprocess.run(
        ["/bin/sh", SPECS / "files/nova-migration-wrapper"],
        env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22", **asking},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    ran = tmp_path / "sudo.ran"
    assert done.returncode == (0 if allowed else 1)
    assert ran.exists() is allowed
    if allowed:
        command = "sudo -n -u nova /usr/bin/virt-ssh-helper qemu:///system"
        assert ran.read_text().split("\n") == [*command.split(), ""]
        # Of the wrapper's command, sudo allows all that is after the account, with those arguments.
        rights = (SPECS / "files/nova-migration-sudoers").read_text()
        assert rights.splitlines()[-1] == (
            "nova_migration ALL = (nova) NOPASSWD: /usr/bin/virt-ssh-helper qemu\\:///system"
        )
    assert ("allowed" if allowed else "refused") in (tmp_path / "logger.ran").read_text()
    assert not (tmp_path / "pwned").exists()
