# SPDX-License-Identifier: MIT
"""`python -m tests.rig.demo`: RPM, fixture distribution, image, boot, login, upload, all shown."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from builder.files import sha256_file, write_atomic
from builder.places import SPECS
from builder.targets import Target, find_target
from tests.rig.demo.host import find_own_target, find_wants, read_mirrors, read_os_release
from tests.rig.needs import is_ready

CHECKOUT = SPECS.parent
OUT = CHECKOUT / "out"
BUILDER = (sys.executable, "-m", "builder")
STEPS = 8


@dataclass(frozen=True, kw_only=True)
class Source:
    """What the image is built from: its name, and the options that name repositories and keys."""

    image: str
    target: Target
    options: tuple[str, ...] = field(default=())


def main() -> int:
    """Do the whole job; return the exit code of the first step that fails, else 0."""
    started = time.monotonic()
    say(
        "A guest image from a kickstart, booted, in Glance: everything here is real and runs on this machine."
    )
    if not is_ready(find_wants(CHECKOUT)):
        return 4
    own = find_own_target(read_os_release())
    target = own or find_target("fixture-12")
    try:
        repository = build_rpm(target)
        source = mirrors_of(own, repository) if own else fixture(repository)
        image = build_image(source)
        verify(image)
        environment = start_plane()
        upload(image, environment)
        list_images(environment)
    except subprocess.CalledProcessError as error:
        print(f"error: the step ended with exit code {error.returncode}", file=sys.stderr)
        return error.returncode
    summary(image, environment, time.monotonic() - started)
    return 0


def build_rpm(target: Target) -> Path:
    """Build the openstack-utils RPM; return the folder of its repository."""
    step(1, f"Build openstack-utils for {target.name}, signed, in a repository of its own")
    run(*BUILDER, "rpm", "openstack-utils", "-t", target.name, "--repo", "--local-key", "--out", shown(OUT))
    return OUT / "rpm" / target.name / "repo"


def fixture(repository: Path) -> Source:
    """Make the fixture distribution."""
    step(2, "Make Fixture Linux: RPMs from Debian's packages (tests/rig/fixture/README.md says what it is)")
    folder = run(sys.executable, "-m", "tests.rig.fixture", "build", capture=True).strip()
    options = ["--repo", f"fixture={folder}", "--gpgkey", f"{folder}/RPM-GPG-KEY-fixture"]
    options += ["--repo", f"openstack={repository}", "--gpgkey", str(repository / "RPM-GPG-KEY-local")]
    return Source(image="jeos-fixture", target=find_target("fixture-12"), options=tuple(options))


def mirrors_of(target: Target, repository: Path) -> Source:
    """Take this host's own mirrors."""
    step(2, f"Take the mirrors that this host ({target.name}) has in /etc/yum.repos.d")
    options = ["--repo", f"openstack={repository}", "--gpgkey", str(repository / "RPM-GPG-KEY-local")]
    for mirror in read_mirrors():
        options += ["--repo", f"{mirror.name}={mirror.address}"]
        options += [word for key in mirror.keys for word in ("--gpgkey", key)]
        print(f"  {mirror.name}: {mirror.address}")
    return Source(image=f"jeos-{target.name}", target=target, options=tuple(options))


def build_image(source: Source) -> Path:
    """Build the qcow2."""
    step(3, f"Build {source.image}.qcow2 from kickstarts/{source.image}.ks")
    run(*BUILDER, "image", source.image, *source.options, "--out", shown(OUT))
    return OUT / source.image / f"{source.image}.qcow2"


def verify(image: Path) -> None:
    """Boot the image and log in, unless these very bytes have been booted before."""
    step(4, "Boot it, log in as ec2-user with the key that cloud-init put there, run the checklist")
    stamp = OUT / "demo" / "verified.json"
    digest = sha256_file(image)
    if stamp.is_file() and json.loads(stamp.read_text()) == digest:
        print(f"  the same bytes passed before ({shown(stamp)}); remove that file to boot again")
        return
    run(*BUILDER, "verify", shown(image), "--firmware", "bios", "--datasource", "nocloud", "--resize", "+1G")
    write_atomic(stamp, json.dumps(digest))


def start_plane() -> dict[str, str]:
    """Start the control plane; return the variables that lead to it."""
    step(5, "Start a private MariaDB, Keystone and Glance")
    said = run(sys.executable, "-m", "tests.rig.plane", "up", capture=True)
    words = shlex.split(said.removeprefix("export "))
    return dict(word.split("=", 1) for word in words)


def upload(image: Path, environment: dict[str, str]) -> None:
    """Upload the image, twice: the second time nothing is sent."""
    step(6, "Upload it; Glance's hash is compared with what was sent")
    run(*BUILDER, "upload", shown(image), env=environment)
    step(7, "Once more: the same bytes are there, nothing is sent")
    run(*BUILDER, "upload", shown(image), env=environment)


def list_images(environment: dict[str, str]) -> None:
    """List what Glance has, as Glance reports it."""
    step(8, "What Glance has now")
    run(sys.executable, "-m", "tests.rig.demo.images", env=environment)


def summary(image: Path, environment: dict[str, str], seconds: float) -> None:
    """Say where everything is."""
    say(f"Done in {seconds:.0f} s.")
    rows = [
        ("image, manifest, checksums", shown(image.parent)),
        ("RPMs and their repository", shown(OUT / "rpm")),
        ("the cloud", "export " + " ".join(f"{name}={value}" for name, value in environment.items())),
        ("stop the cloud", "make plane-down"),
        ("remove everything", "make clean"),
    ]
    for what, where in rows:
        print(f"  {what:<28}{where}")


def say(text: str) -> None:
    """Print a line between blank ones."""
    print(f"\n{text}\n", flush=True)


def step(number: int, text: str) -> None:
    """Announce a step."""
    say(f"== {number}/{STEPS} {text}")


def run(*words: str, env: dict[str, str] | None = None, capture: bool = False) -> str:
    """Show a command, run it, return its stdout where `capture` says so."""
    shell = " ".join(shlex.quote(word) for word in words)
    print("$ " + shell.replace(shlex.join(BUILDER), "openstack-builder").replace(sys.executable, "python"))
    sys.stdout.flush()
    done = subprocess.run(
        words, cwd=CHECKOUT, check=True, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if capture else None, env={**os.environ, **(env or {})},
    )  # fmt: skip
    if capture:
        print(done.stdout, end="", flush=True)
    return done.stdout or ""


def shown(path: Path) -> str:
    """Return a path as seen from the checkout."""
    return os.path.relpath(path, CHECKOUT)


if __name__ == "__main__":
    sys.exit(main())
