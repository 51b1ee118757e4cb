# SPDX-License-Identifier: MIT
"""`python -m tests.rig.talk`: RPMs, machine, openstack-demo-install, image, instance, ssh; timed."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from builder.errors import BuildError
from builder.report import Report
from builder.runner import Runner
from tests.rig.machine.machine import SHARED, Machine
from tests.rig.needs import is_ready
from tests.rig.talk.browser import Page, browser
from tests.rig.talk.host import NEEDS, find_substitutes, find_wants
from tests.rig.talk.machine import ADDRESSES, COMPUTE_SUPPORTS, cloud_machine, connect, install
from tests.rig.talk.page import write_page
from tests.rig.talk.pictures import take_console, take_dashboard
from tests.rig.talk.rpms import BUILDER, CHECKOUT, COMMAND, REPOSITORY
from tests.rig.talk.steps import StepFailed, Talk

PAGE = CHECKOUT / "out" / "talk" / "index.html"
IMAGE = "jeos-fixture"
NETWORK = "10.20.0.0/24"
KEY = "/root/mykey"
# systemd gives a service 90 s to end.
STOP_SECONDS = 300.0
PYTHON = "/usr/lib/openstack/bin/python3"
PACKAGES = (
    "openstack-utils", "openstack-keystone", "openstack-glance", "openstack-placement-api",
    "openstack-nova-api", "openstack-nova-conductor", "openstack-nova-scheduler", "openstack-nova-compute",
    "openstack-nova-novncproxy", "novnc", "openstack-neutron", "openstack-neutron-openvswitch",
    "openstack-dashboard",
)  # fmt: skip
COMPUTE_PACKAGES = ("openstack-utils", "openstack-nova-compute", "openstack-neutron-openvswitch")
PASSWORDS = "/root/openstack-demo-passwords"
# Of all processes; what several share counts once.
MEMORY = "cat /proc/[0-9]*/smaps_rollup | awk '/^Pss:/ {s += $2} END {print int(s / 1024) \" MiB\"}'"


def main() -> int:
    """Give the talk; return the exit code. The page is written however far it gets."""
    print(f"It needs {NEEDS}.")
    if not is_ready(find_wants(CHECKOUT)):
        return 4
    notes = list(find_substitutes())
    for note in notes:
        print(f"  {note}")
    talk = Talk()
    try:
        give(talk)
    except (StepFailed, BuildError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130
    finally:
        write_page(PAGE, talk.steps, talk.seconds, notes, talk.memory)
        print(f"\n{talk.seconds:.0f} s: {os.path.relpath(PAGE, CHECKOUT)}")
    return 0


def give(talk: Talk) -> None:
    """Do the steps, in the order of the talk."""
    talk.on_host("RPMs, signed, in a repository", *COMMAND)
    folder = talk.on_host("Fixture Linux", sys.executable, "-m", "tests.rig.fixture", "build").strip()
    talk.on_host(
        "a JeOS of our own", *BUILDER, "image", IMAGE, "--repo", f"fixture={folder}",
        "--gpgkey", f"{folder}/RPM-GPG-KEY-fixture", "--repo", f"openstack={REPOSITORY}",
        "--gpgkey", f"{REPOSITORY}/RPM-GPG-KEY-local",
    )  # fmt: skip
    report = Report(quiet=True)
    with contextlib.ExitStack() as stack:
        # What the second host does is done beside what the first one does: there are two cores.
        beside = stack.enter_context(ThreadPoolExecutor(1))
        with talk.timed("two machines are booted", "systemd-nspawn --boot"):
            other = beside.submit(stack.enter_context, cloud_machine(REPOSITORY, report, "compute2"))
            controller = stack.enter_context(cloud_machine(REPOSITORY, report))
            second = other.result()
            connect(Runner(report), controller, second)
        stack.enter_context(logs_of_a_failure(controller, second))
        installed = beside.submit(install_compute, talk, second)
        with talk.timed("packages are installed", "dnf install " + " ".join(PACKAGES)):
            install(controller, *PACKAGES, address=ADDRESSES[0])
        talk.inside(
            controller, "the host becomes a cloud", "openstack-demo-install", "--address", ADDRESSES[0],
            "--network", NETWORK,
        )  # fmt: skip
        installed.result()
        talk.memory = controller.run(["sh", "-c", MEMORY]).stdout.strip()
        joined = beside.submit(join, talk, controller, second)
        upload(talk, controller)
        # The way in is the name space of the DHCP agent, which is on that host.
        network, address = boot(talk, controller, "vm1", "controller")
        joined.result()
        booted = beside.submit(boot, talk, controller, "vm2", "compute2")
        with browser(Runner(report), Path(f"/proc/{controller.pid}/ns/net")) as page:
            show_dashboard(talk, controller, page, "vm1")
            log_in(talk, controller, "vm1", network, address)
            show_console(talk, controller, page, "vm1")
        # From one host into an instance on the other: through their tunnel.
        log_in(talk, controller, "vm2", *booted.result())
        with talk.timed("everything is stopped", "systemctl poweroff"):
            stopped = beside.submit(second.power_off, STOP_SECONDS)
            controller.power_off(STOP_SECONDS)
            stopped.result()


@contextlib.contextmanager
def logs_of_a_failure(*machines: Machine) -> Iterator[None]:
    """Keep the logs of machines next to the page when what is done meanwhile fails: they end with it."""
    folder = PAGE.parent / "logs"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield
    except BaseException:
        for machine in machines:
            name = machine.run(["hostname"]).stdout.strip()
            place = folder / name
            # Links and sockets of the machine lead nowhere here.
            shutil.copytree(machine.path("/var/log"), place, symlinks=True, ignore_dangling_symlinks=True)
            (place / "journal.log").write_text(machine.run(["journalctl", "--no-pager"], timeout=120).stdout)
        print(f"logs: {os.path.relpath(folder, CHECKOUT)}", file=sys.stderr)
        raise


def show_dashboard(talk: Talk, machine: Machine, page: Page, instance: str) -> None:
    """Take a picture of the dashboard, logged in to, with an instance."""
    login = read_login(machine.read("/root/keystonerc_admin"))["auth"]
    talk.inside(machine, "the web server is started", "systemctl", "enable", "--now", "httpd")
    url = f"http://{ADDRESSES[0]}/dashboard"
    with talk.timed("the dashboard, logged in to", f"chromium {url}", "dashboard.png"):
        user, password = login["username"], login["password"]
        take_dashboard(page, url, user, password, instance, PAGE.parent / "dashboard.png")


def show_console(talk: Talk, machine: Machine, page: Page, instance: str) -> None:
    """Take a picture of the console of an instance, by noVNC and Nova's proxy."""
    url = as_admin(talk, machine, "where the console is", f"{SHARED}/console.py", instance).strip()
    with talk.timed("the console, by noVNC", f"chromium {url.partition('?')[0]}", "console.png"):
        take_console(page, url, PAGE.parent / "console.png")


def install_compute(talk: Talk, machine: Machine) -> None:
    """Install what a further host for instances has."""
    with talk.timed("a second host: packages", "dnf install " + " ".join(COMPUTE_PACKAGES)):
        install(machine, *COMPUTE_PACKAGES, supports=COMPUTE_SUPPORTS, address=ADDRESSES[1])


def join(talk: Talk, controller: Machine, second: Machine) -> None:
    """Make a compute host of the second machine, as the man page of openstack-demo-install says."""
    second.write(PASSWORDS, controller.read(PASSWORDS), mode=0o600)
    talk.inside(
        second, "it joins the cloud", "openstack-demo-install", "--role", "compute", "--join", ADDRESSES[0]
    )


def upload(talk: Talk, machine: Machine) -> None:
    """Upload the image as an administrator of the cloud would: with its login, over its network."""
    login = read_login(machine.read("/root/keystonerc_admin"))
    with tempfile.TemporaryDirectory(prefix="talk-") as folder:
        clouds = Path(folder) / "clouds.yaml"
        clouds.touch(mode=0o600)
        clouds.write_text(yaml.safe_dump({"clouds": {"talk": login}}))
        talk.on_host(
            "the image is uploaded, its hash compared", "nsenter", f"--net=/proc/{machine.pid}/ns/net",
            *BUILDER, "upload", f"out/{IMAGE}/{IMAGE}.qcow2", "--name", "jeos", "--cloud", "talk",
            env={"OS_CLIENT_CONFIG_FILE": str(clouds)},
        )  # fmt: skip


def read_login(text: str) -> dict[str, Any]:
    """Return the cloud of clouds.yaml that a keystonerc names."""
    lines = [line.removeprefix("export ") for line in text.splitlines() if line.startswith("export OS_")]
    found = {name: shlex.split(value)[0] for name, _, value in (line.partition("=") for line in lines)}
    region = found.pop("OS_REGION_NAME", None)
    for name in ("OS_IDENTITY_API_VERSION", "OS_TENANT_NAME"):
        found.pop(name, None)
    auth = {name.removeprefix("OS_").lower(): value for name, value in found.items()}
    return {"auth": auth, **({"region_name": region} if region else {})}


def boot(talk: Talk, machine: Machine, name: str, *host: str) -> tuple[str, str]:
    """Boot an instance, on a host if one is named; return the id of its network and its address."""
    title = f"instance {name}, with keypair and flavor"
    said = as_admin(talk, machine, title, f"{SHARED}/instance.py", "jeos", KEY, name, *host)
    print(said)
    _, network, address = said.splitlines()[-1].split()
    return network, address


def as_admin(talk: Talk, machine: Machine, title: str, script: str, *words: str) -> str:
    """Run a program of ours inside as the cloud's administrator, as a step; return what it printed."""
    enter = f'. /root/keystonerc_admin && exec {PYTHON} "$@"'
    shown = ["python3", Path(script).name, *words]
    return talk.inside(machine, title, "bash", "-c", enter, "bash", script, *words, shown=shown)


def log_in(talk: Talk, machine: Machine, name: str, network: str, address: str) -> None:
    """Log in to an instance with the keypair, and read its metadata there."""
    words = ["bash", f"{SHARED}/login.sh", network, address, KEY]
    print(talk.inside(machine, f"ssh to {name} with the keypair, metadata read inside", *words))


if __name__ == "__main__":
    sys.exit(main())
