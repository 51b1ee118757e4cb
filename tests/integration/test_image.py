# SPDX-License-Identifier: MIT
"""`openstack-builder image` on the synthetic repository: what is in the image, and when it is built."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from builder import zstd
from builder.formats.diskimage import FORMATS
from tests.rig.fixture.synthetic import KERNEL
from tests.support.imaging import HEAD, ROOT, Bench, Look, kickstart

FULL = kickstart(
    head="network --hostname=guest.example",
    packages="capable\nsetuid\ndeclared-user\nhard-links\nodd-names\nscripted\naged\ntwin.x86_64\n"
    "documented\nwants-more",
    tail="%post --log=/root/post.log\necho hello from post\necho made >/etc/made\n%end\n"
    "%post --nochroot --erroronfail\n"
    "test -d /mnt/sysimage/etc && echo outside >/mnt/sysimage/etc/outside\n%end\n",
).replace("%packages --nocore", "%packages --nocore --excludedocs --exclude-weakdeps --inst-langs=de")


@pytest.fixture(scope="module")
def built(bench: Bench) -> Look:
    """An image with one of everything."""
    done = bench.build(FULL)
    assert done.stdout == f"{bench.image}\n"
    return bench.look()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/usr/bin/setuid", (0o4755, 0, 0), id="setuid"),
        pytest.param("/usr/bin/setgid", (0o2755, 0, 0), id="setgid"),
        pytest.param("/var/lib/declared/state", (0o640, 421, 421), id="owner known by its Provides only"),
        pytest.param("/var/lib/declared", (0o750, 421, 421), id="folder of that owner"),
        pytest.param("/tmp", (0o1777, 0, 0), id="sticky folder"),
        pytest.param("/etc/shadow", (0o640, 0, 0), id="shadow"),
        pytest.param(f"/boot/initramfs-{KERNEL}.img", (0o600, 0, 0), id="initramfs"),
    ],
)
def test_modes_and_owners_are_those_of_the_packages(
    built: Look, path: str, expected: tuple[int, int, int]
) -> None:
    mode, uid, gid = built.owner(path)

    if path.startswith(("/etc/shadow", "/boot")):
        assert (uid, gid) == expected[1:]
        assert not mode & 0o007
    else:
        assert (mode, uid, gid) == expected


def test_a_file_capability_is_kept(built: Look) -> None:
    assert "security.capability" in built.ask("ea_list /usr/bin/capable")


def test_hard_links_stay_one_inode(built: Look) -> None:
    numbers = {built.inode(f"/usr/share/hard/{name}") for name in "ace"}

    assert len(numbers) == 1
    assert built.inode("/usr/share/hard/b") not in numbers


@pytest.mark.parametrize(
    ("path", "there"),
    [
        pytest.param("/usr/share/doc/documented/README", False, id="excludedocs"),
        pytest.param("/usr/share/locale/de/LC_MESSAGES/documented.mo", True, id="language asked for"),
        pytest.param("/usr/share/locale/fr/LC_MESSAGES/documented.mo", False, id="other language"),
        pytest.param("/usr/share/wanted", False, id="weak dependency"),
        pytest.param("/usr/lib64/twin", True, id="name.arch"),
        pytest.param("/usr/lib/twin", False, id="other arch"),
        pytest.param("/etc/made", True, id="post"),
        pytest.param("/etc/outside", True, id="post --nochroot"),
        pytest.param("/etc/kernel/install.d/50-dracut.install", False, id="mask taken away"),
    ],
)
def test_packages_options_and_scripts_decide_what_is_there(built: Look, path: str, there: bool) -> None:
    assert built.exists(path) is there


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/etc/hostname", "guest.example\n", id="hostname"),
        pytest.param("/etc/locale.conf", 'LANG="C.UTF-8"\n', id="lang"),
        pytest.param("/etc/machine-id", "", id="machine-id"),
        pytest.param("/usr/share/aged", "2\n", id="newest version"),
        pytest.param("/root/post.log", "hello from post\n", id="post --log"),
        pytest.param("/var/lib/scripted/log", "pre 1\npost 1\nposttrans 1\n", id="scriptlets"),
    ],
)
def test_files_hold_what_was_asked_for(built: Look, path: str, expected: str) -> None:
    assert built.text(path) == expected


def test_root_is_locked(built: Look) -> None:
    row = next(line for line in built.text("/etc/shadow").splitlines() if line.startswith("root:"))

    assert row.split(":")[1].startswith(("!", "*"))


def test_the_manifest_lists_what_is_in_the_image(built: Look, bench: Bench) -> None:
    manifest = bench.manifest()

    assert {"kernel-core", "capable"} <= {package["name"] for package in manifest["packages"]}
    assert manifest["firmware"] == ["bios", "uefi"]
    assert manifest["inputs"]["gpgcheck"] is True
    assert all(len(package["sha256"]) == 64 for package in manifest["packages"])
    assert [stage["name"] for stage in manifest["stages"]][:3] == ["solve", "fetch", "install"]
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=bench.image.parent, check=True)


def test_no_package_is_installed_later_than_the_epoch(built: Look, bench: Bench, tmp_path: Path) -> None:
    built.ask(f"dump /usr/lib/sysimage/rpm/rpmdb.sqlite {tmp_path}/rpmdb.sqlite")
    query = ["rpm", "--dbpath", tmp_path, "-qa", "--qf", "%{NAME} %{INSTALLTIME} %{INSTALLTID}\n"]

    rows = [line.split() for line in subprocess.check_output(query, text=True).splitlines()]

    assert {"gpg-pubkey", "capable"} <= {name for name, *_ in rows}
    epoch = bench.manifest()["inputs"]["source_date_epoch"]
    assert max(int(time) for _, *times in rows for time in times) <= epoch


def test_file_systems_are_clean_and_the_qcow2_is_sound(built: Look, bench: Bench) -> None:
    subprocess.run(["e2fsck", "-fn", built.device], check=True, capture_output=True)
    subprocess.run(["qemu-img", "check", "-q", bench.image], check=True)


def test_an_unchanged_image_is_not_built_again_and_a_changed_one_is(bench: Bench) -> None:
    text = kickstart(tail="%post\necho first >/etc/made\n%end\n")
    bench.build(text)
    before = bench.image.stat()

    again = bench.build(text)

    assert "unchanged" in again.stderr
    assert bench.image.stat().st_mtime_ns == before.st_mtime_ns
    changed = bench.build(text.replace("first", "second"))
    assert "unchanged" not in changed.stderr
    assert "from the cache" in changed.stderr
    assert bench.look().text("/etc/made") == "second\n"


def test_a_damaged_image_is_built_again(bench: Bench) -> None:
    text = kickstart()
    bench.build(text)
    with bench.image.open("r+b") as file:
        file.seek(100_000)
        file.write(b"damage")

    assert "unchanged" not in bench.build(text).stderr
    assert "unchanged" in bench.build(text).stderr


@pytest.mark.parametrize("options", [("--compat",), ("--format", ",".join(FORMATS))], ids=["compat", "all"])
def test_the_same_inputs_make_the_same_bytes(bench: Bench, tmp_path: Path, options: tuple[str, ...]) -> None:
    other = Bench(tmp_path, bench.repository)
    bench.build(FULL, *options)

    other.build(FULL, *options)

    # Manifest and page have the seconds that stages took.
    folders = [
        {
            path.name: path.read_bytes()
            for path in one.image.parent.glob("test.*")
            if path.suffix not in (".json", ".html")
        }
        for one in (bench, other)
    ]
    assert bench.image.stat().st_mtime_ns != other.image.stat().st_mtime_ns
    assert folders[0] == folders[1]


def test_each_format_holds_the_same_disk(bench: Bench) -> None:
    done = bench.build(FULL, "--format", ",".join(FORMATS))

    folder, manifest = bench.image.parent, bench.manifest()
    files = [manifest["artifact"], *manifest["others"]]
    names = ["test.qcow2", "test.raw", "test.raw.zst", "test.vmdk", "test.vhd", "test.vhdx", "test.vdi"]
    assert [each["path"] for each in files] == names
    assert done.stdout.splitlines() == [str(folder / name) for name in names]
    raw = folder / "test.raw"
    assert raw.stat().st_blocks * 512 < raw.stat().st_size / 2
    assert zstd.decompress((folder / "test.raw.zst").read_bytes()) == raw.read_bytes()
    for name, kind in FORMATS.items():
        compared = ["qemu-img", "compare", "-q", "-f", "raw", "-F", kind.qemu, raw, folder / f"test.{name}"]
        subprocess.run(compared, check=True)
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True)


def test_another_list_of_formats_is_another_result(bench: Bench) -> None:
    bench.build(FULL, "--format", "raw")

    assert bench.manifest()["disk_format"] == "raw"
    assert not bench.image.exists()
    assert "unchanged" in bench.build(FULL, "--format", "raw").stderr


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_what_stands_in_the_place_of_the_log_stays(bench: Bench, kind: str) -> None:
    log = bench.out / "test.log"
    log.unlink(missing_ok=True)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(log.read_bytes()))
    if kind == "link":
        (bench.folder / "real.log").write_text("old")
        log.symlink_to(bench.folder / "real.log")
    elif kind == "fifo":
        os.mkfifo(log)
        reader.start()
    else:
        log.mkdir()
    text = kickstart(tail="%pre-install --erroronfail\nexit 7\n%end\n")

    done = bench.build(text, ok=False)

    assert done.returncode == (2 if kind == "folder" else 1), done.stderr
    assert ("is a folder" in done.stderr) == (kind == "folder")
    if kind == "link":
        assert log.is_symlink()
        assert (bench.folder / "real.log").read_text() != "old"
    elif kind == "fifo":
        assert stat.S_ISFIFO(log.lstat().st_mode)
        reader.join(600)
        assert got
    log.rmdir() if kind == "folder" else log.unlink()


def test_partitions_that_pre_writes_are_read_in_a_second_pass(bench: Bench) -> None:
    text = kickstart(
        base="bootloader --location=mbr\nrootpw --lock\nclearpart --all --initlabel --disklabel=gpt\n",
        head="%include /tmp/disk.ks\n%pre\n"
        'echo "part biosboot --fstype=biosboot --size=1" >/tmp/disk.ks\n'
        'echo "part / --fstype=ext4 --size=80" >>/tmp/disk.ks\n%end',
    )

    bench.build(text)

    assert [one["fstype"] for one in bench.manifest()["partitions"]] == ["biosboot", "ext4"]
    assert not Path("/tmp/disk.ks").exists()


def test_what_post_edits_of_the_boot_files_stays(bench: Bench) -> None:
    text = kickstart(
        tail="%post --erroronfail\nsed -i s/^set.timeout=.*/set\\ timeout=7/ /boot/grub2/grub.cfg\n"
        "echo '# edited' >>/etc/fstab\necho 'GRUB_EDITED=1' >>/etc/default/grub\n%end\n"
    )

    bench.build(text)

    look = bench.look()
    menu = look.text("/boot/grub2/grub.cfg")
    assert "set timeout=7" in menu
    assert f"/boot/initramfs-{KERNEL}.img" in menu + look.ask("ls /boot/loader/entries")
    assert look.text("/etc/fstab").endswith("# edited\n")
    assert "GRUB_EDITED=1" in look.text("/etc/default/grub")


def test_a_package_is_found_by_a_path_that_only_the_lists_of_files_have(bench: Bench) -> None:
    bench.build(kickstart(packages="/usr/share/hard/a"))

    assert bench.look().exists("/usr/share/hard/e")


def test_a_package_that_installs_its_boot_loader_finds_it_done_later(bench: Bench) -> None:
    done = bench.build(kickstart(packages="grub2-pc"))

    look = bench.look()
    assert "warning" not in done.stderr
    assert look.text("/var/lib/grub2-pc") == "done\n"
    assert (
        "not now: the boot loader is installed when the disk is written"
        in (bench.out / "test.log").read_text()
    )
    # No package of the image owns the folder of the boot entries.
    assert look.exists(f"/boot/loader/entries/synthetic-{KERNEL}.conf")


def test_a_package_that_may_be_missing_is_said_once(bench: Bench) -> None:
    text = kickstart(packages="no-such-package").replace("--nocore", "--nocore --ignoremissing")

    done = bench.build(text)

    assert done.stderr.count("no-such-package is not in the repositories") == 1
    assert bench.manifest()["warnings"] == ["no-such-package is not in the repositories"]


def test_pre_install_runs_on_the_empty_tree_before_packages(bench: Bench) -> None:
    text = kickstart(
        tail="%pre-install --erroronfail\ntest ! -e /mnt/sysimage/usr/bin/sh\n"
        "mkdir -p /mnt/sysimage/etc && echo early >/mnt/sysimage/etc/early\n%end\n"
    )

    bench.build(text)

    assert bench.look().text("/etc/early") == "early\n"


def test_a_language_that_the_image_does_not_have_is_a_warning(bench: Bench) -> None:
    # The synthetic image has no locale(1) of its own.
    program = "%pre-install\nmkdir -p /mnt/sysimage/usr/bin; cd /mnt/sysimage/usr/bin\n"
    program += "printf '#!/bin/sh\\necho C.utf8 de_DE.utf8\\n' >locale; chmod 755 locale\n%end\n"
    lang = HEAD.replace("lang C.UTF-8", "lang de_DE.UTF-8 --addsupport=en_US.UTF-8")

    done = bench.build(kickstart(base=lang, tail=program))

    said = [line for line in done.stderr.splitlines() if "no such locale" in line]
    assert len(said) == 1
    assert "test.ks:1: lang en_US.UTF-8: the image has no such locale" in said[0]
    assert "add glibc-langpack-en to %packages" in said[0]


CONSOLE = """\
mkdir -p etc/X11 usr/share/systemd usr/lib/kbd/consolefonts
echo 'uk gb pc105 - -' >usr/share/systemd/kbd-model-map
touch usr/lib/kbd/consolefonts/eurlatgr.psfu.gz
"""


@pytest.mark.parametrize(
    ("keyboard", "made", "layout"),
    [
        pytest.param("uk", CONSOLE, '"gb"', id="of the keymap"),
        pytest.param("--vckeymap=us --xlayouts=de,fr", "", '"de,fr"', id="asked for"),
        pytest.param("uk", CONSOLE.replace("etc/X11", ""), None, id="no X"),
    ],
)
def test_the_console_and_x_have_the_keyboard_that_the_installer_gives_them(
    bench: Bench, keyboard: str, made: str, layout: str | None
) -> None:
    tail = f"%pre-install\nmkdir -p /mnt/sysimage; cd /mnt/sysimage\n{made}%end\n"

    bench.build(kickstart(head=f"keyboard {keyboard}", tail=tail))

    look, file = bench.look(), "/etc/X11/xorg.conf.d/00-keyboard.conf"
    keymap = keyboard.split()[0].removeprefix("--vckeymap=")
    font = 'FONT="eurlatgr"\n' if made else ""
    assert look.text("/etc/vconsole.conf") == f'KEYMAP="{keymap}"\n{font}'
    assert look.exists(file) == (layout is not None)
    if layout is not None:
        assert f'Option "XkbLayout" {layout}\n' in look.text(file)


@pytest.mark.parametrize(
    ("head", "more", "target"),
    [
        ("", "", "multi-user"),
        ("", "printf '[Install]\\nAlias=display-manager.service\\n' >gdm.service\n", "graphical"),
        ("text", "printf '[Install]\\nAlias=display-manager.service\\n' >gdm.service\n", "multi-user"),
        (
            "rdp --username=u --password=p",
            "printf '[Install]\\nAlias=display-manager.service\\n' >gdm.service\n",
            "multi-user",
        ),
    ],
    ids=["no screen", "a login on a screen", "an installer without a screen", "a screen elsewhere"],
)
def test_the_guest_starts_what_it_has(bench: Bench, head: str, more: str, target: str) -> None:
    units = "%pre-install\ncd /mnt/sysimage; mkdir -p usr/lib/systemd/system etc/systemd/system\n"
    units += f"cd usr/lib/systemd/system; touch multi-user.target graphical.target\n{more}%end\n"

    bench.build(kickstart(head=head, tail=units))

    said = bench.look().ask("stat /etc/systemd/system/default.target")
    assert f"/usr/lib/systemd/system/{target}.target" in said


# systemctl(1) writes down how it was called.
UNITS = """\
%pre-install
cd /mnt/sysimage; mkdir -p usr/lib/systemd/system usr/bin etc/sysconfig
touch usr/lib/systemd/system/{unit}.service
printf '#!/bin/sh\\necho "$@" >>/etc/called\\n' >usr/bin/systemctl; chmod 755 usr/bin/systemctl
%end
"""


@pytest.mark.parametrize(
    ("line", "unit", "called"),
    [
        pytest.param("", "initial-setup", "disable", id="no line"),
        pytest.param("firstboot --disable", "initial-setup", "disable", id="off"),
        pytest.param("firstboot --enable", "initial-setup", "enable", id="on"),
        pytest.param("firstboot --reconfig", "initial-setup", "enable", id="again"),
        pytest.param("firstboot --disable", "other", None, id="no program"),
    ],
)
def test_a_set_up_program_runs_at_the_first_boot_only_where_a_line_asks_for_it(
    bench: Bench, line: str, unit: str, called: str | None
) -> None:
    done = bench.build(kickstart(head=line, tail=UNITS.format(unit=unit)))

    look = bench.look()
    assert look.exists("/etc/called") == (called is not None)
    if called is not None:
        assert look.text("/etc/called") == f"{called} {unit}.service\n"
    assert ("asks on the console" in done.stderr) == (line in ("firstboot --enable", "firstboot --reconfig"))
    assert look.exists("/etc/reconfigSys") == (line == "firstboot --reconfig")
    assert look.exists("/etc/sysconfig/anaconda") == (line == "firstboot --disable")


@pytest.mark.parametrize("option", ["-U", "-m"])
def test_a_file_system_has_the_uuid_that_its_line_gives_it(bench: Bench, option: str) -> None:
    uuid = "5B6621D0-15ae-4c93-b9d6-f2a197a9ef06"
    part, filesystem = f'part / --fstype=ext4 --size=96 --mkfsoptions="-U {uuid}"', "ext4"
    if option == "-m":
        part, filesystem = f'part / --fstype=xfs --size=300 --mkfsoptions="-m uuid={uuid}"', "xfs"

    bench.build(kickstart(base=HEAD.replace("part / --fstype=ext4 --size=96", part)))

    root = next(one for one in bench.manifest()["partitions"] if one["mountpoint"] == "/")
    raw = bench.folder / "uuid.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", bench.image, raw], check=True)
    probe = ["blkid", "-p", "-O", str(root["start"]), "-s", "UUID", "-s", "TYPE", "-o", "export", raw]
    said = subprocess.run(probe, capture_output=True, text=True, check=True).stdout
    assert f"UUID={uuid.lower()}\n" in said
    assert f"TYPE={filesystem}\n" in said
    assert root["uuid"] == uuid.lower()


def test_scripts_outside_find_the_image_where_the_installer_says(bench: Bench) -> None:
    where = 'echo "$ANA_INSTALL_PATH" >"$ANA_INSTALL_PATH/etc/{name}"\n%end\n'
    early = "%pre-install --erroronfail\nmkdir -p $ANA_INSTALL_PATH/etc\n" + where.format(name="early")
    late = "%post --nochroot --erroronfail\n" + where.format(name="late")

    bench.build(kickstart(tail=early + late))

    look = bench.look()
    assert (look.text("/etc/early"), look.text("/etc/late")) == ("/mnt/sysroot\n", "/mnt/sysroot\n")


@pytest.mark.parametrize("options", [("--ks-arg", "one=1", "--ks-arg", "two"), ()], ids=["given", "none"])
def test_scripts_find_the_words_that_are_given_and_not_how_this_host_was_booted(
    bench: Bench, options: tuple[str, ...]
) -> None:
    text = kickstart(tail="%post --erroronfail\ncat /proc/cmdline >/etc/words\n%end\n")

    bench.build(text, *options)

    assert bench.look().text("/etc/words") == " ".join(options[1::2]) + "\n"


def test_plan_prints_and_builds_nothing(bench: Bench, tmp_path: Path) -> None:
    other = Bench(tmp_path, bench.repository)

    done = other.build(kickstart(), "--plan", "--json")

    assert json.loads(done.stdout)["name"] == "test"
    assert not other.out.exists()


def test_folders_in_memory_are_lines_of_fstab_and_hide_what_the_image_has_there(bench: Bench) -> None:
    lines = "part /tmp --fstype=tmpfs --size=50 --fsoptions=nosuid\npart /srv/quick --fstype=tmpfs\n"
    script = """%post --erroronfail
echo x >/srv/quick/unseen
test "$(/run/openstack-builder/bin/findmnt -no SOURCE,FSTYPE /tmp)" = "tmpfs tmpfs"
/run/openstack-builder/bin/mountpoint -q /srv/quick
%end
"""

    done = bench.build(kickstart(head=lines, tail=script))

    look = bench.look()
    fstab = [line.split() for line in look.text("/etc/fstab").splitlines()]
    assert ["tmpfs", "/tmp", "tmpfs", "nosuid,size=50m", "0", "0"] in fstab
    assert ["tmpfs", "/srv/quick", "tmpfs", "defaults", "0", "0"] in fstab
    assert look.owner("/tmp")[0] == 0o1777
    hidden = [line for line in done.stderr.splitlines() if "in the guest's memory" in line]
    assert len(hidden) == 1
    assert "/srv/quick is in the guest's memory, which hides what is there in the image" in hidden[0]
    assert hidden[0].endswith(": unseen")


def test_partitions_that_pre_makes_become_those_of_the_image(bench: Bench) -> None:
    """As the cloud kickstarts of AlmaLinux and Rocky Linux do it."""
    lines = "".join(line for line in HEAD.splitlines(keepends=True) if not line.startswith("part "))
    script = """
%pre --erroronfail
set -e
test "$(cat /proc/cmdline)" = "inst.one=1 two"
test "$(blockdev --getsize64 /dev/vdb)" = $((600 * 1024 * 1024))
printf 'label: gpt\\nstart=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649\\n%s\\n%s\\n' \
    'size=65536, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B' 'type=L, name="the root"' | sfdisk /dev/vdb
partprobe /dev/vdb
mkfs.ext4 -F /dev/vdb3
%end
part biosboot --onpart=vdb1
part /boot/efi --fstype=efi --onpart=vdb2
part / --fstype=ext4 --onpart=vdb3
"""
    text = kickstart(base=lines, tail=script.lstrip().replace("\\\\n", "\\n"))

    bench.build(text, "--size", "600M", "--ks-arg", "inst.one=1", "--ks-arg", "two")

    made = bench.manifest()["partitions"]
    assert [(one["mountpoint"], one["fstype"], one["start"] >> 20) for one in made] == [
        (None, "biosboot", 1),
        ("/boot/efi", "vfat", 2),
        ("/", "ext4", 34),
    ]
    assert made[2]["size"] > 560 << 20


def test_the_disk_of_pre_keeps_its_size_when_it_is_written_to(bench: Bench) -> None:
    """As the kickstarts of Rocky Linux and Oracle Linux do it; a file would be cut short."""
    lines = "".join(line for line in HEAD.splitlines(keepends=True) if not line.startswith("part "))
    script = """
%pre --erroronfail
set -e
dd if=/dev/zero of=/dev/vda bs=512 count=1
: >/dev/vda
blkdiscard /dev/vda
test "$(blockdev --getsize64 /dev/vda)" = $((600 * 1024 * 1024))
parted /dev/vda mklabel gpt
parted /dev/vda mkpart primary 1MiB 2MiB
parted /dev/vda set 1 bios_grub on
dd if=/dev/zero of=/dev/vda bs=440 count=1
parted /dev/vda mkpart primary ext4 2MiB 590MiB
%end
part biosboot --fstype=biosboot --onpart=vda1
part / --fstype=ext4 --onpart=vda2
"""

    bench.build(kickstart(base=lines, tail=script.lstrip()), "--size", "600M")

    made = bench.manifest()["partitions"]
    assert [(one["fstype"], one["start"] >> 20, one["size"] >> 20) for one in made] == [
        ("biosboot", 1, 1),
        ("ext4", 2, 588),
    ]


def test_new_partitions_lie_next_to_those_that_pre_makes(bench: Bench) -> None:
    """As the kickstarts of images for Azure do it: numbers from the end, and what grows is last."""
    lines = "".join(line for line in HEAD.splitlines(keepends=True) if not line.startswith("part "))
    script = """
%pre --erroronfail
sfdisk /dev/sda <<'TABLE'
label: gpt
/dev/sda14 : start=2048, size=8192, type=21686148-6449-6E6F-744E-656564454649
/dev/sda15 : start=10240, size=65536, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
TABLE
%end
part /boot/efi --onpart=sda15 --fstype=vfat
part / --fstype=ext4 --size=1 --grow
part /boot --fstype=ext4 --size=100
"""

    bench.build(kickstart(base=lines, tail=script.lstrip()), "--size", "400M")

    made = bench.manifest()["partitions"]
    assert [(one["number"], one["mountpoint"], one["start"] >> 20, one["size"] >> 20) for one in made] == [
        (14, None, 1, 4),
        (15, "/boot/efi", 5, 32),
        (1, "/boot", 37, 100),
        (2, "/", 137, 262),
    ]


def test_what_pre_printed_is_kept_where_its_failure_says(bench: Bench) -> None:
    text = kickstart(tail="%pre --erroronfail\necho the reason\nexit 3\n%end\n")

    done = bench.build(text, ok=False)

    (named,) = [line.split()[1] for line in done.stderr.splitlines() if line.startswith("log:")]
    assert "the reason\n" in Path(named).read_text()
    assert Path(named) == bench.out / "test.pre.log"


STORAGE = {
    "xfs": ("part / --fstype=xfs --size=320\n", "", ""),
    "btrfs, a subvolume in a folder that no package brings": (
        "part btrfs.1 --size=320\nbtrfs none --label=system btrfs.1\n"
        "btrfs / --subvol --name=root LABEL=system\nbtrfs /data --subvol --name=root/data LABEL=system\n",
        "",
        "%post\necho kept >/data/file\n%end\n",
    ),
}


@pytest.mark.parametrize(("part", "packages", "tail"), STORAGE.values(), ids=STORAGE)
def test_the_root_lies_on_other_file_systems(bench: Bench, part: str, packages: str, tail: str) -> None:
    lines = HEAD.replace("part / --fstype=ext4 --size=96\n", part)

    bench.build(kickstart(base=lines, packages=packages, tail=tail))

    made = bench.manifest()
    root = made["partitions"][-1]
    points = [root["mountpoint"], *(one["mountpoint"] for one in root["subvolumes"])]
    assert "/" in points
    done = subprocess.run(
        [sys.executable, "-m", "builder", "verify", bench.image, "--no-boot", "--json", "--checks",
         "file-systems-clean,partitions-as-manifest,fstab,partition-table"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_volumes_bring_lvm2_and_are_refused_with_the_line_where_it_is_left_out(bench: Bench) -> None:
    lines = HEAD.replace(
        "part / --fstype=ext4 --size=96\n",
        "part /boot --fstype=ext4 --size=96\npart pv.1 --size=200\nvolgroup vg pv.1\n"
        "logvol / --vgname=vg --name=root --fstype=ext4 --size=96\n",
    )

    bench.build(kickstart(base=lines))
    assert "lvm2" in {package["name"] for package in bench.manifest()["packages"]}

    done = bench.build(kickstart(base=lines, packages="-lvm2"), ok=False)

    assert done.returncode == 2
    assert "volgroup vg: the image has no lvm2" in done.stderr
    assert "put lvm2 into %packages" in done.stderr


TWO_POLICIES = """
%post
for policy in minimum targeted; do
    folder=/etc/selinux/$policy/contexts/files
    mkdir -p $folder
    echo "/.* system_u:object_r:${policy}_t:s0" >$folder/file_contexts
done
echo SELINUXTYPE={named} >/etc/selinux/config
%end
"""


@pytest.mark.parametrize(("named", "label"), [("targeted", "targeted_t"), ("mls", "minimum_t")])
def test_files_are_labelled_by_the_policy_that_the_image_will_run(
    bench: Bench, named: str, label: str
) -> None:
    done = bench.build(kickstart(tail=TWO_POLICIES.replace("{named}", named)))

    assert "labelled" in done.stderr
    assert label in bench.look().ask("ea_get /etc/selinux/config security.selinux")


def test_file_contexts_that_cannot_be_read_end_the_build(bench: Bench) -> None:
    spoil = "echo '/etc( system_u:object_r:etc_t:s0' >/etc/selinux/targeted/contexts/files/file_contexts"
    tail = TWO_POLICIES.replace("{named}", "targeted").replace("%end", f"{spoil}\n%end")

    done = bench.build(kickstart(tail=tail), ok=False)

    assert done.returncode != 0
    assert "the file contexts of the image's SELinux policy cannot be read" in done.stderr
