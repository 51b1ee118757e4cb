# SPDX-License-Identifier: MIT
"""`openstack-builder koji …` as a user types it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.koji.conftest import HubUnderTest, write_profile
from tests.koji.stand_in_hub import build_fails, image_is_built
from tests.support.rpm_tool import builder

BUILD = ("koji", "build", "openstack-utils", "-t", "epel-9")


def run(hub: HubUnderTest, folder: Path, *words: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the command against the hub; no output holds the password."""
    done = builder(*words, "--profile", "here", "--config", hub.config, cwd=folder, ok=ok)
    assert hub.password not in done.stdout + done.stderr
    return done


def test_a_dry_run_prints_the_calls_and_asks_no_hub(hub: HubUnderTest, tmp_path: Path) -> None:
    done = run(hub, tmp_path, *BUILD, "--dry-run")

    upload, build = done.stdout.splitlines()
    assert upload.startswith("uploadWrapper('out/rpm/epel-9/openstack-utils-")
    assert ".src.rpm', 'epel9-candidate', {'scratch': True" in build
    assert hub.front.requests == 0


def test_what_the_hub_clones_needs_no_source_rpm(hub: HubUnderTest, tmp_path: Path) -> None:
    done = run(hub, tmp_path, *BUILD, "--dry-run", "--scm", "git+https://example.org/{package}#main")

    (call,) = done.stdout.splitlines()
    assert call.startswith("build('git+https://example.org/openstack-utils#main', 'epel9-candidate'")
    assert not (tmp_path / "out").exists()


def test_a_chain_has_the_environment_of_the_services_first(hub: HubUnderTest, tmp_path: Path) -> None:
    packages = ("openstack-keystone", "openstack-python-bundled", "openstack-nova")
    words = (
        "-t",
        "fedora-45",
        "--real",
        "--chain",
        "--dry-run",
        "--scm",
        "git+https://example.org/{package}#main",
    )

    done = run(hub, tmp_path, "koji", "build", *packages, *words)

    built = [line.partition("example.org/")[2].partition("#")[0] for line in done.stdout.splitlines()]
    assert built[0] == "openstack-python-bundled"
    assert sorted(built[1:]) == ["openstack-keystone", "openstack-nova"]


def test_packages_are_built_and_the_tasks_are_the_result(hub: HubUnderTest, tmp_path: Path) -> None:
    done = run(hub, tmp_path, *BUILD)

    (task,) = [one for one in hub.stand_in.tasks.values() if one.method == "build"]
    assert done.stdout.split() == [str(task.id)]
    assert f"{hub.address}/koji/taskinfo?taskID={task.id}" in done.stderr
    assert hub.stand_in.uploaded(task.request[0])[:4] == b"\xed\xab\xee\xdb"  # an RPM's magic number


def test_nowait_prints_the_tasks_and_watch_takes_them(hub: HubUnderTest, tmp_path: Path) -> None:
    (task,) = run(hub, tmp_path, *BUILD, "--nowait").stdout.split()

    done = run(hub, tmp_path, "koji", "watch", task, "--json")

    (shown,) = json.loads(done.stdout)
    assert (shown["id"], shown["state"]) == (int(task), "closed")
    assert [child["method"] for child in shown["children"]] == ["rebuildSRPM", "buildArch"]


def test_a_failed_build_is_one_error_with_the_page(hub: HubUnderTest, tmp_path: Path) -> None:
    hub.stand_in.script = build_fails

    done = run(hub, tmp_path, *BUILD, ok=False)

    assert done.returncode == 5
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert "buildArch" in error
    assert "builder2.example.org: build.log: unknown type name 'eggs'" in error
    assert "taskinfo?taskID=" in done.stderr


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        pytest.param(("--chain",), "--chain needs --real", 2, id="scratch chain"),
        pytest.param(("--real", "--arch-override", "x86_64"), "--arch-override", 2, id="real arches"),
        pytest.param(("--chain", "--real", "--nowait"), "--chain waits for each link", 2, id="chain at once"),
        pytest.param(("--scm", "git+https://x/y"), "names no commit, branch or tag", 2, id="no ref"),
        pytest.param(("--koji-target", "nosuch"), "there is no build target nosuch", 5, id="unknown target"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_submitted(
    hub: HubUnderTest, tmp_path: Path, words: tuple[str, ...], message: str, code: int
) -> None:
    done = run(hub, tmp_path, *BUILD, *words, ok=False)

    assert done.returncode == code
    assert message in done.stderr
    assert not hub.front.called("build")


def test_a_target_without_a_hub_says_how_to_name_one(tmp_path: Path) -> None:
    done = builder("koji", "build", "openstack-utils", "-t", "fixture-12", cwd=tmp_path, ok=False)

    assert done.returncode == 2
    assert "fixture-12: no hub is known that builds for it" in done.stderr
    assert "--koji-target" in done.stderr


def test_a_hub_that_is_down_is_one_error(hub: HubUnderTest, tmp_path: Path) -> None:
    write_profile(hub.config, "http://127.0.0.1:1")

    done = run(hub, tmp_path, "koji", "watch", "1", ok=False)

    assert done.returncode == 5
    assert "http://127.0.0.1:1/kojihub: connection refused" in done.stderr


def test_an_image_is_submitted_with_its_includes_in_place(hub: HubUnderTest, tmp_path: Path) -> None:
    done = run(
        hub, tmp_path, "koji", "image", "jeos-epel-9", "--tree", "https://mirror.example/9/os", "--nowait"
    )

    (arguments,) = hub.front.called("buildImageOz")
    kickstart = hub.stand_in.uploaded(arguments[5]["kickstart"].removeprefix("work/")).decode()
    assert done.stdout.strip() == str(next(iter(hub.stand_in.tasks)))
    assert "%include" not in kickstart
    assert "cloud-init" in kickstart
    assert arguments[5]["distro"] == "RHEL-9.0"


IMAGES = ("koji", "image", "--tree", "https://mirror.example/9/os")


@pytest.mark.parametrize(
    ("image", "gib"),
    [
        pytest.param("own.ks", 5, id="a partition that grows"),
        pytest.param("jeos-epel-9", 2, id="said by images.yaml"),
    ],
)
def test_the_hub_is_told_the_size_of_the_disk(tmp_path: Path, image: str, gib: int) -> None:
    (tmp_path / "own.ks").write_text("part / --fstype=ext4 --size=2048 --grow\n%packages\n@core\n%end\n")

    done = builder(*IMAGES, image, "-t", "epel-9", "--dry-run", cwd=tmp_path)

    assert f"'disk_size': {gib}," in done.stdout


@pytest.mark.parametrize("words", [(), ("--distro", "Fixture-12"), ("--distro", "RHEL-9")])
def test_a_distribution_that_the_hub_cannot_install_is_refused(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = builder(*IMAGES, "jeos-fixture", "--koji-target", "x", *words, cwd=tmp_path, ok=False)

    assert done.returncode == 2
    assert "Koji's builders know no distribution of that name" in done.stderr
    assert "--distro" in done.stderr


def test_several_images_are_submitted_by_one_command(hub: HubUnderTest, tmp_path: Path) -> None:
    (tmp_path / "db.ks").write_text("part / --fstype=ext4 --size=2048 --grow\n%packages\n@core\n%end\n")

    done = run(hub, tmp_path, *IMAGES, "jeos-epel-9", "db.ks", "-t", "epel-9", "--nowait")

    assert [arguments[0] for arguments in hub.front.called("buildImageOz")] == ["jeos-epel-9", "db"]
    assert done.stdout.split() == [str(number) for number in hub.stand_in.tasks]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(
            ("jeos-epel-9", "jeos-fedora-45"), "the images are for epel-9, fedora-45", id="two targets"
        ),
        pytest.param(
            ("jeos-epel-9", "jeos-epel-9"), "jeos-epel-9: two images of this name", id="one image twice"
        ),
    ],
)
def test_images_that_cannot_be_one_command_are_refused_before_anything_is_sent(
    hub: HubUnderTest, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    done = run(hub, tmp_path, *IMAGES, *words, ok=False)

    assert done.returncode == 2
    assert message in done.stderr
    assert not hub.front.called("buildImageOz")


@pytest.mark.parametrize("more", [pytest.param((), id="scratch"), pytest.param(("--real",), id="real")])
def test_an_image_that_the_hub_has_built_is_watched_and_fetched(
    hub: HubUnderTest, tmp_path: Path, more: tuple[str, ...]
) -> None:
    hub.stand_in.image_script = image_is_built

    done = run(hub, tmp_path, *IMAGES, "jeos-epel-9", *more)

    task = done.stdout.strip()
    (image,) = (tmp_path / "out" / "koji" / task).rglob("*.qcow2")
    assert image.name == "jeos-epel-9-9-1.x86_64.qcow2"
    assert image.read_bytes()[:4] == b"QFI\xfb"
    assert f"fetched {image.relative_to(tmp_path)}" in done.stderr
    assert "createImage jeos-epel-9" in done.stderr
    names = {path.name for path in (tmp_path / "out" / "koji" / task).rglob("*") if path.is_file()}
    assert {"oz-x86_64.log", "jeos-epel-9.ks", "tdl-x86_64.xml"} <= names
