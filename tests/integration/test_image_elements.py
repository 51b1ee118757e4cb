# SPDX-License-Identifier: MIT
"""Elements of diskimage-builder in images of ours: what they may do, and what is an error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.elements import write_element
from tests.support.imaging import Bench, Look, kickstart

HASH = "#!/bin/sh\nset -eu\n"
PLAIN = kickstart(packages="busybox\nsynthetic-release")


def build(
    bench: Bench, folder: Path, *options: str, text: str = PLAIN, ok: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Build with the elements of `folder`."""
    done = subprocess.run(
        bench.command(text, *options),
        env={**bench.environment(), "ELEMENTS_PATH": str(folder), **environment},
        capture_output=True, text=True, timeout=1800, check=False,
    )  # fmt: skip
    assert not ok or done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def chain(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Look:
    """Build with three elements that depend on each other; return a look into the image."""
    folder = tmp_path_factory.mktemp("elements")
    write_element(
        folder,
        "top",
        {
            "element-deps": "middle\n",
            "environment.d/20-top": "export LEVEL=top-$DIB_LEVEL\n",
            "install.d/9-last-but-one": f"{HASH}echo 9-last-but-one $LEVEL >>/var/order\n",
            "install.d/10-last": f"{HASH}echo 10-last $LEVEL >>/var/order\n",
            "install.d/not-run": "no script\n",
            "post-install.d/50-package": f"{HASH}install-packages -m top the-wanted\n",
            "package-installs.yaml": "the-wanted:\ntwin:\n  uninstall: true\n",
            "pkg-map": json.dumps({"family": {"redhat": {"the-wanted": "wanted"}}}),
            "finalise.d/90-order": f"{HASH}echo finalise >>/var/order\n",
            "cleanup.d/90-order": f'{HASH}echo "cleanup on the host" >>"$TARGET_ROOT/var/order"\n',
        },
    )
    write_element(
        folder,
        "middle",
        {
            "element-deps": "bottom\n\ninstall-static\n",
            "static/etc/middle.conf": "from static\n",
            "static/usr/share/middle/deep": "deep\n",
            "install.d/1-first": f"{HASH}echo 1-first >>/var/order\n"
            'cat "$(dirname "$0")/../notes" >>/var/order\n',
            "notes": "a file next to the phases\n",
        },
    )
    write_element(
        folder,
        "bottom",
        {
            "element-deps": "package-installs\ndib-init-system\n",
            "environment.d/10-bottom": "export DIB_LEVEL=${DIB_LEVEL:-unset}\n",
            "bin/bottom-tool": f'{HASH}echo "tool says $1" >>/var/order\n',
            "extra-data.d/50-key": f'{HASH}cat "$DIB_KEY" >"$TMP_HOOKS_PATH/key"\n'
            'sudo -E touch "$TMP_MOUNT_PATH/var/touched"\n',
            "pre-install.d/50-tool": f'{HASH}bottom-tool hello\ncat "$(dirname "$0")/../key" >>/var/order\n',
            "init-scripts/systemd/bottom.service": "[Service]\nExecStart=/bin/true\n",
        },
    )
    key = folder.parent / "id.pub"
    key.write_text("a key of the user\n")
    text = PLAIN + "%post\necho %post >>/var/order\n%end\n"
    build(bench, folder, "--element", "top", text=text, DIB_LEVEL="by-user", DIB_KEY=str(key))
    return bench.look()


def test_scripts_run_phase_by_phase_and_by_number_then_name(chain: Look) -> None:
    assert chain.text("/var/order").splitlines() == [
        "tool says hello",
        "a key of the user",
        "1-first",
        "a file next to the phases",
        "9-last-but-one top-by-user",
        "10-last top-by-user",
        "%post",
        "finalise",
        "cleanup on the host",
    ]


def test_static_files_programs_and_units_are_where_elements_expect_them(chain: Look) -> None:
    assert chain.text("/etc/middle.conf") == "from static\n"
    assert chain.text("/usr/share/middle/deep") == "deep\n"
    assert chain.owner("/usr/local/bin/bottom-tool") == (0o755, 0, 0)
    assert chain.exists("/usr/lib/systemd/system/bottom.service")
    assert chain.exists("/var/touched")


def test_packages_come_by_pkg_map_and_nothing_of_the_build_is_left(bench: Bench, chain: Look) -> None:
    manifest = bench.manifest()
    assert "wanted" in [package["name"] for package in manifest["packages"]]
    assert {"top", "middle", "bottom"} < {one["name"] for one in manifest["inputs"]["elements"]}
    assert not chain.exists("/usr/local/bin/pkg-map")
    assert not chain.exists("/tmp/in_target.d")
    assert bench.leftovers() == []


def test_a_change_of_an_element_or_of_its_environment_builds_again(bench: Bench, tmp_path: Path) -> None:
    folder = write_element(tmp_path, "one", {"install.d/50-one": f"{HASH}echo 1 >/etc/one\n"})

    first = build(bench, folder, "--element", "one")
    again = build(bench, folder, "--element", "one")
    by_variable = build(bench, folder, "--element", "one", DIB_ONE="1")
    write_element(tmp_path, "one", {"install.d/50-one": f"{HASH}echo 2 >/etc/one\n"})
    changed = build(bench, folder, "--element", "one", DIB_ONE="1")

    assert ["unchanged" in done.stderr for done in (first, again, by_variable, changed)] == [
        False, True, False, False,
    ]  # fmt: skip
    assert bench.look().text("/etc/one") == "2\n"


@pytest.mark.parametrize(
    ("files", "message", "hint"),
    [
        pytest.param(
            {"install.d/50-bad": f"{HASH}mount -t tmpfs none /mnt\n"},
            "element bad: {folder}/bad/install.d/50-bad in the phase install ended with status",
            "without mounts",
            id="in the image",
        ),
        pytest.param(
            {"extra-data.d/50-bad": f"{HASH}touch /usr/mark\n"},
            "element bad: {folder}/bad/extra-data.d/50-bad in the phase extra-data ended with status",
            "without mounts",
            id="on the host",
        ),
        pytest.param(
            {"extra-data.d/50-bad": f"{HASH}cat /root/.ssh/* /home/*/.ssh/*\n"},
            "in the phase extra-data ended with status",
            "log",
            id="files of the user",
        ),
        pytest.param(
            {"environment.d/50-bad": "exit 3\n", "install.d/50-good": f"{HASH}true\n"},
            "environment.d/50-bad ended with status 3",
            "log",
            id="environment",
        ),
        pytest.param(
            {"install.d/50-bad": f"{HASH}install-packages documented\n"},
            "documented is not in the image: name it in package-installs.yaml",
            "log",
            id="packages",
        ),
    ],
)
def test_what_a_phase_may_not_do_is_an_error_with_element_file_and_phase(
    bench: Bench, tmp_path: Path, files: dict[str, str], message: str, hint: str
) -> None:
    folder = write_element(tmp_path, "bad", files)

    done = build(bench, folder, "--element", "bad", ok=False)

    assert done.returncode == 1
    assert message.format(folder=folder) in done.stderr
    assert hint in done.stderr.split("hint:")[1]


def test_a_password_of_the_environment_is_in_no_plan_log_or_manifest(bench: Bench, tmp_path: Path) -> None:
    folder = write_element(tmp_path, "secret", {"install.d/50-it": f'{HASH}test -n "$DIB_SECRET"\n'})

    done = build(bench, folder, "--element", "secret", DIB_SECRET="hunter2-hunter2")
    plan = build(bench, folder, "--element", "secret", "--plan", "--json", DIB_SECRET="hunter2-hunter2")

    texts = [done.stdout, done.stderr, plan.stdout, (bench.out / "test.log").read_text()]
    assert "DIB_SECRET" in plan.stdout
    assert not [text for text in texts if "hunter2" in text]
    assert "hunter2" not in json.dumps(bench.manifest())


def test_check_judges_elements_before_anything_is_built(bench: Bench, tmp_path: Path) -> None:
    folder = write_element(tmp_path, "bad", {"root.d/10-os": f"{HASH}true\n"})
    bench.command(PLAIN)

    argv = [sys.executable, "-m", "builder", "check", bench.folder / "test.ks", "--target", "fixture-12"]
    argv += ["--repo", "a=https://mirror.example", "--element", "bad"]
    done = subprocess.run(
        argv,
        env={**bench.environment(), "ELEMENTS_PATH": str(folder)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 2
    assert f"{folder}/bad/root.d/10-os:1: element bad: root.d makes the root" in done.stderr
