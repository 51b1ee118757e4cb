# SPDX-License-Identifier: MIT
"""The kickstarts of this tree, and images.yaml that names them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from builder.__main__ import main
from builder.errors import InputError
from builder.kickstart.choices import Choices
from builder.kickstart.commands import SETTINGS
from builder.kickstart.images import (
    IMAGES_FILE,
    KICKSTARTS,
    ImageSource,
    find_image,
    guess_target,
    load_images,
)
from builder.kickstart.plan import ImagePlan
from builder.kickstart.planner import load_plan
from builder.kickstart.settings.accounts import Accounts
from builder.kickstart.settings.network import Network
from builder.kickstart.settings.security import Security, SELinux
from builder.kickstart.settings.services import Services
from builder.kickstart.show import describe, plan_as_json
from builder.targets import load_targets

IMAGES = load_images()
NAMES = [image.name for image in IMAGES]
NEWEST = {target.name.partition("-")[0]: target.name for target in load_targets()}
LEAVES = sorted(KICKSTARTS.glob("*.ks"))
CLOUD_CONFIG = re.compile(r"^cat >/etc/cloud/cloud\.cfg\.d/\S+ <<'END'\n(.*?)^END$", re.MULTILINE | re.DOTALL)

OLD = {"jeos-epel-6", "jeos-fedora-17"}


def plan_of(image: ImageSource) -> ImagePlan:
    choices = Choices(name=image.name, disk_size=image.disk_size)
    return load_plan(image.path, target=image.require_target(), choices=choices)


def drop_in(plan: ImagePlan) -> dict[str, object]:
    """Return what the %post scripts configure in cloud-init."""
    texts = [match[1] for script in plan.scripts for match in CLOUD_CONFIG.finditer(script.body)]
    assert len(texts) == 1
    value = yaml.safe_load(texts[0])
    assert isinstance(value, dict)
    return value


def test_every_leaf_is_an_image() -> None:
    assert sorted(image.path.resolve() for image in IMAGES) == [leaf.resolve() for leaf in LEAVES]


@pytest.mark.parametrize("image", IMAGES, ids=NAMES)
def test_kickstart_passes_without_a_warning(image: ImageSource) -> None:
    plan = plan_of(image)

    assert plan.warnings == ()
    assert plan.unresolved_includes == ()


@pytest.mark.parametrize("leaf", LEAVES, ids=[leaf.stem for leaf in LEAVES])
def test_kickstart_passes_ksvalidator_in_its_own_syntax(leaf: Path) -> None:
    """An outside check: pykickstart's own program, which is not ours."""
    match = re.search(r"^#version=(\S+)$", leaf.read_text(), re.MULTILINE)
    assert match is not None
    validator = Path(sys.executable).with_name("ksvalidator")

    done = subprocess.run(
        [validator, "--firsterror", "--version", match[1], leaf.name],
        cwd=leaf.parent,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("image", IMAGES, ids=NAMES)
def test_syntax_is_that_of_the_target(image: ImageSource) -> None:
    assert plan_of(image).ksversion == image.require_target().ksversion


@pytest.mark.parametrize("image", IMAGES, ids=NAMES)
def test_sources_are_those_of_the_target(image: ImageSource) -> None:
    known = {
        url
        for source in image.require_target().repositories.values()
        for url in (source.baseurl, source.mirrorlist, source.metalink)
        if url
    }
    named = {
        url
        for source in plan_of(image).repositories
        for url in (*source.baseurl, source.mirrorlist, source.metalink)
        if url and source.name != "extras"
    }

    assert named <= known
    assert bool(named) is not image.name.startswith("jeos-fixture")


@pytest.mark.parametrize("image", IMAGES, ids=NAMES)
def test_guest_is_one_for_a_cloud(image: ImageSource) -> None:
    """What guest-image checklists ask for, as far as a plan shows it."""
    plan = plan_of(image)

    root = plan.disk.partitions[-1]
    assert (root.mountpoint, root.fstype, root.grow) == ("/", "ext4", True)
    assert all(part.fstype != "swap" for part in plan.disk.partitions)
    assert (plan.disk.size or 0) <= 2200
    assert plan.of(Accounts).root_password.locked
    assert plan.bootloader.append.split()[-1] == "console=ttyS0,115200n8"
    assert plan.bootloader.timeout == 1
    assert "cloud-init" in plan.packages.names
    assert "sshd" in plan.of(Services).services_enabled
    assert [interface.bootproto for interface in plan.of(Network).interfaces] == ["dhcp"]
    assert not plan.packages.docs
    assert plan.packages.languages


@pytest.mark.parametrize("name", sorted(set(NAMES) - OLD))
def test_guest_boots_both_ways_and_grows(name: str) -> None:
    plan = plan_of(find_image(name))

    assert plan.firmware == ("bios", "uefi")
    assert "cloud-utils-growpart" in plan.packages.names


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("jeos-fixture")])
def test_selinux_enforces_where_there_is_a_policy(name: str) -> None:
    plan = plan_of(find_image(name))

    assert plan.of(Security).selinux is SELinux.ENFORCING
    assert "selinux-policy-targeted" in plan.packages.names


@pytest.mark.parametrize("image", IMAGES, ids=NAMES)
def test_cloud_init_makes_the_user_that_images_yaml_names(image: ImageSource) -> None:
    plan = plan_of(image)
    reported = drop_in(plan)

    info = reported.get("system_info")
    user = info["default_user"]["name"] if isinstance(info, dict) else reported["user"]
    assert user == image.default_user
    assert reported["disable_root"]
    assert not reported["ssh_pwauth"]


@pytest.mark.parametrize("name", sorted(set(NAMES) - OLD))
def test_cloud_init_asks_every_source_and_none_for_long(name: str) -> None:
    reported = drop_in(plan_of(find_image(name)))

    assert reported["datasource_list"] == ["NoCloud", "ConfigDrive", "OpenStack", "Ec2", "None"]
    patience = reported["datasource"]
    assert isinstance(patience, dict)
    assert all(patience[source]["max_wait"] <= 30 for source in ("OpenStack", "Ec2"))
    assert reported["ssh_genkeytypes"] == ["ed25519", "ecdsa"]


@pytest.mark.parametrize("path", sorted(KICKSTARTS.rglob("*.ks")), ids=lambda path: path.name)
def test_every_command_is_explained(path: Path) -> None:
    """A comment is before each block of commands, and each block is short."""
    blocks = re.split(r"\n\s*\n", re.sub(r"(?ms)^%post.*?^%end\n", "", path.read_text()))
    for block in blocks:
        lines = [line for line in block.splitlines() if not line.startswith(("#", "%include", "%end"))]
        if lines and not all(line.startswith(("url ", "repo ", "lang ")) for line in lines):
            assert "#" in block, f"{path.name}: {lines[0]}"


class TestNames:
    """What a user may call an image."""

    def test_name_and_path_find_the_same(self) -> None:
        by_name, by_path = find_image("jeos-fixture"), find_image(str(KICKSTARTS / "jeos-fixture.ks"))

        assert (by_name.name, by_name.target) == (by_path.name, by_path.target)
        assert by_path.default_user == "ec2-user"

    def test_name_is_found_from_any_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for folder in (tmp_path, KICKSTARTS):
            monkeypatch.chdir(folder)
            assert find_image("jeos-fixture").path.is_file()
            assert find_image(str(KICKSTARTS / "jeos-fixture.ks")).name == "jeos-fixture"

    def test_unknown_name_says_the_nearest(self) -> None:
        with pytest.raises(InputError, match="unknown image: jeos-fedora-54") as error:
            find_image("jeos-fedora-54")

        assert (error.value.hint or "").startswith("did you mean jeos-fedora-4")

    def test_other_kickstart_wants_a_target(self, tmp_path: Path) -> None:
        image = find_image(str(tmp_path / "mine.ks"))

        assert (image.name, image.target) == ("mine", None)
        with pytest.raises(InputError, match="its target is not known"):
            image.require_target()
        assert find_image(str(image.path), target="epel-9").require_target().name == "epel-9"

    @pytest.mark.parametrize(
        ("version", "target"),
        [("F44", "fedora-44"), ("F30", NEWEST["fedora"]), ("RHEL9", "epel-9"), ("RHEL4", NEWEST["epel"])],
    )
    def test_target_is_guessed_from_the_syntax(self, version: str, target: str) -> None:
        assert guess_target(version).name == target


WRONG = {
    "no such kickstart": (
        "a: {summary: s, kickstart: none.ks, target: epel-9}",
        "no none.ks in the same folder",
    ),
    "no such target": ("a: {summary: s, kickstart: a.ks, target: epel-99}", "unknown target: epel-99"),
    "unknown key": ("a: {summary: s, kickstart: a.ks, target: epel-9, user: x}", "unknown key"),
    "two kinds of url": (
        "a: {summary: s, kickstart: a.ks, target: epel-9, repos: {b: {baseurl: x, metalink: y}}}",
        "needs exactly one of baseurl, mirrorlist, metalink",
    ),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG)
def test_mistake_in_images_yaml_has_file_and_line(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "images.yaml"
    path.write_text(f"# one\n{text}\n")
    (tmp_path / "a.ks").write_text("")

    with pytest.raises(InputError) as error:
        load_images(path)

    assert [expected in line for line in error.value.lines() if line.startswith("error")] == [True]
    assert f"{path}:2" in error.value.lines()[0]


def test_repositories_of_images_yaml_bring_their_keys(tmp_path: Path) -> None:
    path = tmp_path / "images.yaml"
    path.write_text(
        "a:\n  summary: s\n  kickstart: a.ks\n  target: epel-9\n"
        "  repos: {b: {baseurl: 'https://b.example/', gpgkeys: [/b.key]}}\n"
    )
    (tmp_path / "a.ks").write_text("")

    (image,) = load_images(path)

    assert [(source.name, source.gpg_keys) for source in image.repositories] == [("b", ("/b.key",))]


class TestCommand:
    """`openstack-builder images` and `check`, as a user meets them."""

    def test_images_are_listed(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["images"]) == 0

        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines[1:]] == NAMES

    def test_images_as_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["images", "--json"]) == 0

        assert [image["name"] for image in json.loads(capsys.readouterr().out)] == NAMES

    def test_all_kickstarts_are_checked(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["check"]) == 0

        out = capsys.readouterr()
        assert [line.split(": ")[1] for line in out.out.splitlines()] == [
            f"ok (syntax {image.require_target().ksversion})" for image in IMAGES
        ]
        assert out.err == ""

    def test_errors_of_all_files_are_reported_and_the_exit_code_is_2(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "a.ks").write_text("nonsense\n")
        (tmp_path / "b.ks").write_text("lang 'x\n")

        code = main(["check", f"{tmp_path}/a.ks", "jeos-fixture", f"{tmp_path}/b.ks"])

        out = capsys.readouterr()
        assert code == 2
        assert f"error: {tmp_path}/a.ks:1: unknown command: nonsense" in out.err
        assert f"error: {tmp_path}/b.ks:1: no closing quotation" in out.err
        assert [line.rpartition(": ")[2].split()[0] for line in out.out.splitlines()] == ["2", "ok", "2"]

    def test_warnings_alone_are_no_failure(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "a.ks"
        path.write_text("install\npart / --fstype=ext4 --size=900\n%packages\n%end\n")

        assert main(["check", "--ksversion", "F45", str(path)]) == 0

        assert f"warning: {path}:1: install is not in the syntax F45" in capsys.readouterr().err

    def test_harmless_words_are_said_once_and_only_under_v(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "a.ks"
        path.write_text(
            "eula --agreed\neula --agreed\nreboot\npart / --fstype=ext4 --size=900\n%packages\n%end\n"
        )

        main(["check", str(path)])
        assert "no effect" not in capsys.readouterr().err

        main(["check", "-v", str(path)])
        said = capsys.readouterr().err
        assert (said.count("eula has no effect"), said.count("reboot has no effect")) == (1, 1)

    def test_findings_as_json(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "a.ks"
        path.write_text("nonsense\n%include /tmp/x\n%pre\necho >/tmp/x\n%end\n")

        assert main(["check", "--json", str(path)]) == 2

        (found,) = json.loads(capsys.readouterr().out)
        assert (found["ok"], found["unresolved"]) == (False, ["/tmp/x"])
        assert found["errors"][0]["where"] == f"{path}:1"

    def test_unknown_syntax_is_usage(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["check", "--ksversion", "F99"]) == 2
        assert "unknown kickstart syntax: F99" in capsys.readouterr().err

    def test_sources_and_sizes_of_image_count_in_a_check(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "a.ks"
        path.write_text("cdrom\npart / --fstype=ext4 --size=3000\nrootpw --lock\n%packages\n%end\n")

        assert main(["check", str(path)]) == 2
        assert "cdrom: an image is not installed from a medium" in capsys.readouterr().err
        assert main(["check", "--repo", "r=https://m.example/", "--ks-arg", "a=b", str(path)]) == 0
        assert main(["check", "--tree", "https://m.example/", str(path)]) == 0
        assert main(["check", "--tree", "https://m.example/", "--size", "2G", str(path)]) == 2
        assert "2048 MiB" in capsys.readouterr().err

    @pytest.mark.parametrize("command", [("check",), ("image", "--plan"), ("image",)], ids=" ".join)
    def test_a_key_that_is_none_is_refused_before_anything_is_fetched(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
    ) -> None:
        path, wrong = tmp_path / "a.ks", tmp_path / "page.html"
        path.write_text("part / --fstype=ext4 --size=3000\nrootpw --lock\n%packages\n%end\n")
        wrong.write_text("<html>not found</html>")
        words = [*command, "-t", "fixture-12", "--repo", "r=https://m.example/"]

        assert main([*words, "--gpgkey", f"{tmp_path}/none", "--gpgkey", str(wrong), str(path)]) == 2

        said = capsys.readouterr().err
        assert f"error: --gpgkey {tmp_path}/none: no such file or directory" in said
        assert f"error: --gpgkey {wrong}: holds no public key" in said

    def test_a_repository_in_a_folder_that_is_not_here_is_doubted_and_builds_nothing(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "a.ks"
        path.write_text(
            f"repo --name=here --baseurl=file://{tmp_path}\nrepo --name=gone --baseurl=file:///mnt/$releasever/os\n"
            "repo --name=open --baseurl=file:///mnt/$mine/os\n"
            "part / --fstype=ext4 --size=3000\nrootpw --lock\n%packages\n%end\n"
        )
        expected = (
            f"{path}:2: repository gone: file:///mnt/$releasever/os: there is no such place on this host"
        )

        assert main(["check", "-t", "fixture-12", str(path)]) == 0
        assert f"warning: {expected}" in capsys.readouterr().err
        assert main(["image", "-t", "fixture-12", str(path), "--out", f"{tmp_path}/out"]) == 2
        assert f"error: {expected}" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_a_disk_larger_than_its_format_is_refused(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "a.ks"
        path.write_text("reqpart\npart / --fstype=xfs --size=3000 --grow\nrootpw --lock\n%packages\n%end\n")
        words = ["image", "--plan", "-t", "fixture-12", str(path), "--size", "2041G", "--format"]

        assert main([*words, "qcow2,vmdk"]) == 0
        capsys.readouterr()
        assert main([*words, "qcow2,vhd"]) == 2
        assert (
            "error: --format vhd: the disk of a has 2089984 MiB, and a vhd 2088960" in capsys.readouterr().err
        )

    @pytest.mark.parametrize("command", [("check",), ("image", "--plan"), ("image",)], ids=" ".join)
    def test_disks_that_cannot_be_built_are_refused_by_every_command(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
    ) -> None:
        path = tmp_path / "a.ks"
        path.write_text(
            "url --url=https://mirror.example/\npart /boot --fstype=zfs --size=512\n"
            "part / --fstype=xfs --size=900 --mkfsoptions='-U x'\n%pre\nexit 1\n%end\n%packages\n%end\n"
        )

        assert main([*command, str(path), "--target", "fedora-45"]) == 2

        lines = capsys.readouterr().err.splitlines()
        assert lines[::2] == [
            f"error: {path}:2: part --fstype=zfs: is not supported",
            f"error: {path}:3: part /: --mkfsoptions: -U of mkfs.xfs cannot be used",
        ]

    def test_a_disk_that_only_pre_describes_may_still_become_one(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "a.ks"
        path.write_text("%include /tmp/disk\n%pre\necho >/tmp/disk\n%end\n%packages\n%end\n")

        assert main(["check", str(path)]) == 0

        assert "unresolved" in capsys.readouterr().err


class TestPlan:
    """`image --plan`: no root, no network, no tools."""

    @pytest.fixture(autouse=True)
    def no_tools(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/nonexistent")

    def test_for_people(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["image", "--plan", "jeos-epel-9"]) == 0

        shown = capsys.readouterr().out
        for words in ("jeos-epel-9 for epel-9", "boots by bios and uefi", "/boot/efi", "SELinux enforcing"):
            assert words in shown

    def test_for_machines(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["image", "--plan", "--json", "jeos-fixture", "--repo", "f=https://f.example/"]) == 0

        plan = json.loads(capsys.readouterr().out)
        assert plan["firmware"] == ["bios", "uefi"]
        assert [source["baseurl"] for source in plan["repositories"]] == [["https://f.example/"]]

    def test_include_that_only_pre_writes_is_shown_as_unresolved(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "a.ks"
        path.write_text("%include /tmp/parts\n%packages\n%end\n%pre\necho >/tmp/parts\n%end\n")

        assert main(["image", "--plan", str(path), "--target", "epel-9"]) == 0

        out = capsys.readouterr()
        assert f"unresolved  /tmp/parts, included at {path}:1" in out.out
        assert "size not known yet" in out.out
        assert f"warning: {path}:1: %include /tmp/parts: unresolved" in out.err

    def test_mistakes_are_bad_input(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "a.ks"
        path.write_text("nonsense\nlogvol / --vgname=a --name=b --size=1\n%include none.ks\n")

        assert main(["image", "--plan", str(path), "--target", "epel-9"]) == 2

        assert capsys.readouterr().err.count("error: ") == 3


def test_plan_is_shown_without_secrets(tmp_path: Path) -> None:
    path = tmp_path / "a.ks"
    path.write_text(
        "part / --fstype=ext4 --size=900\nrootpw hunter2\nuser --name=u --password=hunter2\n"
        f"user --name=v --iscrypted --password=$6$hunter2${'x' * 86}\n"
        "%packages\n%end\n%post\necho hunter2\n%end\n"
    )

    plan = load_plan(path, target=guess_target("F45"))

    shown = "\n".join(describe(plan))
    assert "hunter2" not in shown + json.dumps(plan_as_json(plan))
    assert "root with a password" in shown
    assert f"%post at {path}:7, /bin/sh" in shown


def test_plan_as_json_has_every_field() -> None:
    plan = plan_of(find_image("jeos-fixture"))

    value = json.loads(json.dumps(plan_as_json(plan)))

    assert value["disk"]["partitions"][-1]["mountpoint"] == "/"
    assert value["root_password"] == {"locked": True, "set": False}
    assert "include/cloud-init.ks:" in value["scripts"][0]["place"]
    plain = [name for name in ImagePlan.__dataclass_fields__ if name != "settings"]
    assert sorted(value) == sorted(plain + [name for kind in SETTINGS for name in kind.__dataclass_fields__])


def test_names_in_the_file_are_the_ones_that_are_listed() -> None:
    assert list(yaml.safe_load(IMAGES_FILE.read_text())) == NAMES
