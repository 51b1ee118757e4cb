# SPDX-License-Identifier: MIT
"""%packages: what is chosen, what is kept out, and from where it comes."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import InputError
from builder.kickstart.choices import Choices, parse_repository, parse_size, parse_url
from builder.kickstart.plan import Packages, Repository
from builder.kickstart.show import describe
from builder.targets import find_target
from tests.support.kickstart_text import DISK, GOOD, plan_text, reported


def packages_of(folder: Path, lines: str, *, header: str = "%packages", ksversion: str = "F45") -> Packages:
    plan, findings = plan_text(folder, f"{DISK}rootpw x\n{header}\n{lines}%end\n", ksversion=ksversion)
    assert not findings.errors, reported(findings, folder)
    return plan.packages


def test_every_form_of_a_line(tmp_path: Path) -> None:
    chosen = packages_of(
        tmp_path,
        "@core\n@Some Group\n@extra --optional\n@little --nodefaults\n@^minimal-environment\n"
        "bash  # a comment\nvim*\nglibc.i686\n-kernel\n-*firmware\n-iwl*\n-@games\n\n# nothing\n",
    )

    assert chosen.groups == ("core", "Some Group")
    assert (chosen.optional_groups, chosen.mandatory_groups) == (("extra",), ("little",))
    assert chosen.environment == "minimal-environment"
    assert chosen.names == ("bash", "vim*", "glibc.i686")
    assert chosen.excluded == ("kernel", "*firmware", "iwl*")
    assert chosen.excluded_groups == ("games",)
    assert chosen.places["-iwl*"].line == 16
    assert set(chosen.places) >= {"@core", "@^minimal-environment", "bash", "-@games"}


def test_later_lines_undo_earlier_ones(tmp_path: Path) -> None:
    chosen = packages_of(tmp_path, "a\n-a\n-b\nb\n@g\n-@g\n-@h\n@h\n@^e\n-@^e\n")

    assert (chosen.names, chosen.excluded) == (("b",), ("a",))
    assert (chosen.groups, chosen.excluded_groups) == (("h",), ("g",))
    assert chosen.environment is None


def test_sections_add_up(tmp_path: Path) -> None:
    chosen = packages_of(tmp_path, "a\n%end\n%packages --excludedocs\nb\n")

    assert (chosen.names, chosen.docs, chosen.weak) == (("a", "b"), False, True)


ADDED = {
    "no name of its own": ("bash\n", ("kernel", "grub2-pc", "grub2-efi-x64", "shim-x64")),
    "all named": ("kernel-core\ngrub2-pc-modules\ngrub2-efi-x64\nshim-x64\n", ()),
    "all named with an architecture": (
        "kernel.x86_64\ngrub2-pc.x86_64\ngrub2-efi-x64.x86_64\nshim-x64.x86_64\n",
        (),
    ),
    "all named by globs": ("kern*\ngrub2-*\nshim*\n", ()),
    "GRUB's modules": ("kernel\ngrub2-pc-modules\ngrub2-efi-x64-modules\n", ()),
    "what only has a kernel's name": (
        "kernel-devel\nkernel-headers\nkernel-tools-libs.x86_64\nkernel-srpm-macros\n",
        ("kernel", "grub2-pc", "grub2-efi-x64", "shim-x64"),
    ),
    "half a loader": ("kernel\ngrub2-pc\nshim-x64\n", ("grub2-efi-x64",)),
    "the other half": ("kernel\ngrub2-pc\ngrub2-efi-x64\n", ("shim-x64",)),
    "another kernel": ("kernel-uek-core\n", ("grub2-pc", "grub2-efi-x64", "shim-x64")),
    "one loader": ("kernel\ngrub2-pc-modules\n", ("grub2-efi-x64", "shim-x64")),
    "left out": ("-kernel\n-shim*\n", ("grub2-pc", "grub2-efi-x64")),
}


LOADER_TOOLS = ("grub2-tools", "efibootmgr", "grub2-tools-extra", "grubby")


@pytest.mark.parametrize(
    ("target", "lines", "expected"),
    [
        pytest.param("fedora-45", "", LOADER_TOOLS, id="both firmwares"),
        pytest.param("epel-10", "", LOADER_TOOLS, id="what comps have no longer"),
        pytest.param("epel-9", "", LOADER_TOOLS[:2], id="what comps still have"),
        pytest.param("epel-9", "-grub*\n", ("efibootmgr",), id="left out"),
        pytest.param("epel-9", "systemd-boot\n", (), id="another loader"),
        pytest.param("fixture-12", "", (), id="a distribution of its own"),
    ],
)
def test_the_tools_of_the_boot_loader_are_added_as_the_installer_does(
    tmp_path: Path, target: str, lines: str, expected: tuple[str, ...]
) -> None:
    text = f"{DISK}rootpw --lock\nurl --url=https://m.example/\n%packages\n{lines}%end\n"
    plan, _ = plan_text(tmp_path, text, target=target)

    assert tuple(name for name in plan.packages.added if name in LOADER_TOOLS) == expected


@pytest.mark.parametrize(("lines", "expected"), ADDED.values(), ids=ADDED)
def test_kernel_and_boot_loader_are_added_as_the_installer_does(
    tmp_path: Path, lines: str, expected: tuple[str, ...]
) -> None:
    added = packages_of(tmp_path, lines).added

    others = ("e2fsprogs", "dosfstools", "chrony", *LOADER_TOOLS)
    assert tuple(name for name in added if name not in others) == expected


@pytest.mark.parametrize(
    ("target", "lines", "expected"),
    [
        pytest.param("fedora-45", "lang en_US.UTF-8", ["langpacks-en"], id="a language"),
        pytest.param("epel-9", "lang pt_BR.UTF-8 --addsupport=de_AT.UTF-8,en_GB.UTF-8,de_DE",
                     ["langpacks-pt_BR", "langpacks-de", "langpacks-en_GB"], id="territories"),
        pytest.param("fedora-45", "lang C.UTF-8", [], id="C"),
        pytest.param("fedora-45", "", [], id="no lang line"),
        pytest.param("epel-7", "lang en_US.UTF-8", [], id="before there were any"),
        pytest.param("fixture-12", "lang en_US.UTF-8", [], id="a distribution without them"),
    ],
)  # fmt: skip
def test_language_packs_are_added_as_the_installer_does(
    tmp_path: Path, target: str, lines: str, expected: list[str]
) -> None:
    text = f"{DISK}{lines}\nrootpw --lock\nurl --url=https://m.example/\n%packages\nbash\n"
    plan, _ = plan_text(tmp_path, f"{text}%end\n", target=target)
    left_out, _ = plan_text(tmp_path, f"{text}-langpacks-*\n%end\n", target=target)

    assert [name for name in plan.packages.added if name.startswith("langpacks")] == expected
    assert [name for name in left_out.packages.added if name.startswith("langpacks")] == []


def test_nothing_is_added_where_nothing_boots(tmp_path: Path) -> None:
    lines = "bootloader --location=none\n%packages\nbash\n%end\n"

    plan, _ = plan_text(tmp_path, f"{DISK}rootpw x\n{lines}")

    assert plan.packages.added == ("dosfstools", "e2fsprogs", "chrony")


LVM = "reqpart\npart /boot --fstype=xfs --size=500\npart pv.1 --size=2000\nvolgroup g pv.1\n"
LVM += "logvol / --vgname=g --name=r --size=1800 --fstype=xfs\n"
BTRFS = DISK.replace("part / --fstype=ext4", "part btrfs.1") + "btrfs none --label=b btrfs.1\n"
BTRFS += "btrfs / --subvol --name=root b\n"


@pytest.mark.parametrize(
    ("target", "lines", "expected"),
    [
        pytest.param("fedora-45", DISK, ["dosfstools", "e2fsprogs", "chrony"], id="ext4"),
        pytest.param("epel-9", LVM, ["lvm2", "dosfstools", "xfsprogs", "chrony"], id="LVM and xfs"),
        pytest.param("fedora-45", BTRFS, ["dosfstools", "btrfs-progs", "chrony"], id="btrfs"),
        pytest.param("epel-10", f"{DISK}timesource --ntp-disable\n", ["dosfstools", "e2fsprogs"],
                     id="no time service"),
        pytest.param("epel-10", f"{DISK}authselect select sssd\n",
                     ["dosfstools", "e2fsprogs", "chrony", "authselect"], id="authselect"),
        pytest.param("epel-9", f"{DISK}firewall --disabled\n",
                     ["dosfstools", "e2fsprogs", "chrony", "firewalld"], id="a firewall line"),
        pytest.param("epel-9", f"{DISK}network --device=team0 --teamslaves=eth0\n",
                     ["dosfstools", "e2fsprogs", "chrony", "teamd"], id="a team"),
        pytest.param("epel-6", f"{DISK}firewall --enabled\n", [], id="before firewalld"),
        pytest.param("fixture-12", DISK, [], id="nothing asked for"),
        pytest.param("fixture-12", f"{LVM}timesource --ntp-server=a.example\n", ["lvm2", "chrony"],
                     id="what lines ask for, everywhere"),
    ],
)  # fmt: skip
def test_tools_of_what_is_asked_for_are_added_as_the_installer_does(
    tmp_path: Path, target: str, lines: str, expected: list[str]
) -> None:
    text = f"{lines}rootpw --lock\nurl --url=https://m.example/\n%packages\nbash\n"
    tools = ("lvm2", "e2fsprogs", "xfsprogs", "btrfs-progs", "dosfstools", "chrony", "authselect")
    tools += ("firewalld", "teamd")
    plan, findings = plan_text(tmp_path, f"{text}%end\n", target=target)
    named, _ = plan_text(tmp_path, text + "\n".join(tools) + "\n%end\n", target=target)
    excluded = "-lvm2\n-*progs\n-dosfstools\n-chrony\n-authselect\n-firewalld\n-team*\n"
    left_out, _ = plan_text(tmp_path, f"{text}{excluded}%end\n", target=target)

    assert findings.errors == []
    assert [name for name in plan.packages.added if name in tools] == expected
    assert not {*named.packages.added, *left_out.packages.added} & set(tools)


@pytest.mark.parametrize(
    ("target", "lines", "expected"),
    [
        pytest.param("fedora-45", "", ("platform-kvm",), id="Fedora"),
        pytest.param("epel-9", "", ("platform-kvm",), id="EL"),
        pytest.param("epel-9", "@platform-kvm\n", (), id="asked for"),
        pytest.param("epel-9", "-@platform-kvm\n", (), id="left out"),
        pytest.param("epel-6", "", (), id="before there was one"),
        pytest.param("fixture-12", "", (), id="a distribution without it"),
    ],
)
def test_the_group_of_a_guests_tools_is_added_as_the_installer_does(
    tmp_path: Path, target: str, lines: str, expected: tuple[str, ...]
) -> None:
    text = f"{DISK}rootpw --lock\nurl --url=https://m.example/\n"
    plan, _ = plan_text(tmp_path, f"{text}%packages\nbash\n{lines}%end\n", target=target)
    shown = [line for line in describe(plan) if line.split()[:1] == ["added"]]
    nothing, _ = plan_text(
        tmp_path, f"{text}bootloader --location=none\n%packages\nbash\n%end\n", target=target
    )

    assert plan.packages.added_groups == expected
    assert ["@platform-kvm" in line for line in shown if "platform" in line] == [True] * len(expected)
    assert nothing.packages.added_groups == ()


FETCHES = {
    "dnf": ("dnf -y install nginx || true\n", "dnf -y install nginx"),
    "in a condition": ("if ! /usr/bin/yum update -y; then exit 1; fi\n", "/usr/bin/yum update -y"),
    "in a substitution": ("key=$(curl -s https://a.example/key)\n", "curl -s https://a.example/key)"),
    "several": ("wget -q https://a.example\ngit clone https://a.example\n", "(and 1 more)"),
    "a package of a server": ("rpm -Uvh https://a.example/b.rpm\n", "rpm -Uvh https://a.example/b.rpm"),
}


@pytest.mark.parametrize(("body", "expected"), FETCHES.values(), ids=FETCHES)
def test_script_that_wants_the_network_is_warned_about(tmp_path: Path, body: str, expected: str) -> None:
    text = f"{GOOD}%post\ntrue\n{body}%end\n"

    _, without = plan_text(tmp_path, text, choices=Choices(network=False))
    _, having = plan_text(tmp_path, text, choices=Choices(network=True))

    (warning,) = without.warnings
    assert expected in warning.message
    assert str(warning.where).endswith(f":{len(GOOD.splitlines()) + 3}")
    assert warning.hint == "name packages in %packages, or build with image --network"
    assert not having.warnings


NO_FETCHES = {
    "offline": "dnf -C -y remove linux-firmware\ndnf clean all\nrpm -e lsof\n",
    "in a file that it writes": "cat >/usr/local/bin/x <<'EOF'\ndnf -y install x\nEOF\n",
    "a comment": "# dnf install x\n",
    "a word": "echo use curl or wget\nsed -i s/curl/x/ /etc/y\n",
}


@pytest.mark.parametrize("body", NO_FETCHES.values(), ids=NO_FETCHES)
def test_script_that_wants_no_network_is_not(tmp_path: Path, body: str) -> None:
    _, findings = plan_text(tmp_path, f"{GOOD}%post\n{body}%end\n", choices=Choices(network=False))

    assert not findings.warnings


def test_pre_that_asks_for_a_block_device_is_warned_about(tmp_path: Path) -> None:
    _, findings = plan_text(tmp_path, f"{GOOD}%pre\nfind /dev -maxdepth 1 -type b\n%end\n")

    assert "the disk of a build is a file" in findings.warnings[0].message


def test_pre_whose_question_is_answered_is_not(tmp_path: Path) -> None:
    _, findings = plan_text(tmp_path, f"{GOOD}%pre\nif [ -b /dev/vda ]; then true; fi\n%end\n")

    assert not findings.warnings


CORE = {
    "by default": ("", "%packages", True),
    "--nocore": ("", "%packages --nocore", False),
    "-@core": ("-@core\n", "%packages", False),
    "-@Core": ("-@Core\n", "%packages", False),
}


@pytest.mark.parametrize(("lines", "header", "core"), CORE.values(), ids=CORE)
def test_core_is_chosen_unless_refused(tmp_path: Path, lines: str, header: str, core: bool) -> None:
    chosen = packages_of(tmp_path, lines, header=header)

    assert (chosen.core, chosen.excluded_groups) == (core, ())


BASE = {"F17": True, "RHEL6": True, "F18": False, "RHEL7": False}


@pytest.mark.parametrize(("version", "base"), BASE.items(), ids=BASE)
def test_base_is_chosen_in_old_syntaxes(tmp_path: Path, version: str, base: bool) -> None:
    assert ("base" in packages_of(tmp_path, "bash\n", ksversion=version).groups) is base
    bare = packages_of(tmp_path, "bash\n", header="%packages --nobase", ksversion=version)
    assert "base" not in bare.groups


LANGUAGES = {"--inst-langs=en:de_AT": ("en", "de_AT"), "--inst-langs=": (), "--excludedocs": None}


@pytest.mark.parametrize(("option", "languages"), LANGUAGES.items(), ids=LANGUAGES)
def test_languages(tmp_path: Path, option: str, languages: tuple[str, ...] | None) -> None:
    assert packages_of(tmp_path, "", header=f"%packages {option}").languages == languages


def test_escaped_glob_is_taken_with_a_warning(tmp_path: Path) -> None:
    plan, findings = plan_text(tmp_path, f"{DISK}%packages\n-grub\\*\n%end\n")

    assert plan.packages.excluded == ("grub*",)
    assert reported(findings, tmp_path) == [
        "warning: test.ks:5: package -grub*: the backslash is not needed, and is ignored"
    ]


MISTAKES = {
    "a blank in a name": ("foo bar\n", 'package "foo bar": a name must not contain blanks'),
    "a path": ("foo;bar\n", 'package "foo;bar": not a name or glob'),
    "nothing after the minus": ("-\n", 'package "-": not a name or glob'),
    "no name of a group": ("@\n", '"@": no name of a group'),
    "no name of an environment": ("@^\n", "@^ without the name of an environment"),
    "unknown option of a group": ("@a --some\n", "@a --some: unknown"),
    "both options of a group": ("@a --optional --nodefaults\n", "@a: --optional and --nodefaults exclude"),
    "a module stream": ("@nodejs:20/common\n", "@nodejs:20/common: module streams are not supported"),
}


@pytest.mark.parametrize(("line", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_in_a_line(tmp_path: Path, line: str, expected: str) -> None:
    _, findings = plan_text(tmp_path, f"{DISK}%packages\nbash\n{line}%end\n")

    assert [problem.where for problem in findings.errors] == [f"{tmp_path}/test.ks:6"]
    assert findings.errors[0].message.startswith(expected)


def test_group_behind_the_header_is_an_error_with_its_place(tmp_path: Path) -> None:
    _, findings = plan_text(tmp_path, f"{DISK}%packages @core\nbash\n%end\n")

    assert [problem.where for problem in findings.errors] == [f"{tmp_path}/test.ks:4"]
    assert findings.errors[0].hint == "write packages and groups on lines of their own"


def test_second_environment_replaces_the_first_with_a_warning(tmp_path: Path) -> None:
    plan, findings = plan_text(tmp_path, f"{DISK}%packages\n@^a\n@^b\n%end\n")

    assert plan.packages.environment == "b"
    assert reported(findings, tmp_path) == ["warning: test.ks:6: @^b replaces @^a: one can be chosen"]


class TestSources:
    """url and repo lines, and what replaces them."""

    LINES = (
        "url --metalink=https://m.example/?repo=a&arch=$basearch --proxy=http://p.example\n"
        "repo --name=b --baseurl=https://m.example/b/ --cost=7 --includepkgs=x,y* "
        "--excludepkgs=z --install --noverifyssl\n"
        "repo --name=c --mirrorlist=https://m.example/$releasever\n"
    )

    def repositories(self, folder: Path, lines: str, choices: Choices) -> tuple[Repository, ...]:
        plan, findings = plan_text(folder, f"{DISK}{lines}%packages\n%end\n", choices=choices)
        assert not findings.errors, reported(findings, folder)
        return plan.repositories

    def test_lines_are_taken_in_full(self, tmp_path: Path) -> None:
        url, b, c = self.repositories(tmp_path, self.LINES, Choices(ksversion="F45"))

        assert (url.name, url.metalink) == ("url", "https://m.example/?repo=a&arch=$basearch")
        assert (url.proxy, url.verify_tls, url.install) == ("http://p.example", True, False)
        assert b.baseurl == ("https://m.example/b/",)
        assert (b.cost, b.includes, b.excludes) == (7, ("x", "y*"), ("z",))
        assert (b.install, b.verify_tls) == (True, False)
        assert (c.mirrorlist, c.place.line if c.place else 0) == ("https://m.example/$releasever", 6)

    def test_sources_of_the_command_line_replace_all_others(self, tmp_path: Path) -> None:
        given = Choices(
            ksversion="F45",
            repositories=(parse_repository("x=https://x.example/"),),
            tree="https://t.example/",
        )

        found = self.repositories(tmp_path, self.LINES + "cdrom\n", given)

        assert [(source.name, source.baseurl) for source in found] == [
            ("tree", ("https://t.example/",)),
            ("x", ("https://x.example/",)),
        ]

    def test_tree_replaces_the_url_line_and_media_only(self, tmp_path: Path) -> None:
        given = Choices(ksversion="F45", tree="https://t.example/")

        found = self.repositories(tmp_path, self.LINES + "cdrom\n", given)

        assert [source.name for source in found] == ["tree", "b", "c"]

    def test_name_becomes_one_that_dnf_takes(self, tmp_path: Path) -> None:
        line = "repo --name='Base OS (9)' --baseurl=https://m.example/\n"

        found = self.repositories(tmp_path, line, Choices(ksversion="F45"))

        assert [source.name for source in found] == ["Base-OS-9"]

    def test_extra_sources_are_added(self, tmp_path: Path) -> None:
        given = Choices(ksversion="F45", extra_repositories=(parse_repository("x=https://x.example/"),))

        found = self.repositories(tmp_path, self.LINES, given)

        assert [source.name for source in found] == ["url", "b", "c", "x"]

    def test_keys_are_for_repositories_without_their_own(self, tmp_path: Path) -> None:
        own = Repository(name="own", baseurl=("https://o.example/",), gpg_keys=("/own.key",))
        given = Choices(repositories=(own, parse_repository("x=https://x.example/")), gpg_keys=("/key",))

        found = self.repositories(tmp_path, "", given)

        assert [source.gpg_keys for source in found] == [("/own.key",), ("/key",)]

    @pytest.mark.parametrize(
        "line", ["cdrom", "nfs --server=a --dir=/b", "harddrive --partition=sda1 --dir=/"]
    )
    def test_medium_without_an_override_is_an_error(self, tmp_path: Path, line: str) -> None:
        _, findings = plan_text(tmp_path, f"{DISK}{line}\n%packages\n%end\n")

        assert findings.errors[0].message.endswith("an image is not installed from a medium")
        assert "--repo NAME=URL" in (findings.errors[0].hint or "")

    def test_fedora_s_repositories_are_known_by_their_names(self, tmp_path: Path) -> None:
        plan, findings = plan_text(tmp_path, f"{DISK}repo --name=updates --cost=5\n%packages\n%end\n")

        assert not findings.errors
        assert [(one.name, one.cost, one.metalink) for one in plan.repositories] == [
            ("updates", 5, find_target("fedora-45").repositories["updates"].metalink)
        ]

    @pytest.mark.parametrize(("name", "target"), [("extras", "fedora-45"), ("baseos", "epel-9")])
    def test_another_repository_without_an_address_is_an_error(
        self, tmp_path: Path, name: str, target: str
    ) -> None:
        """EL's rebuilds have addresses of their own: packages of two must not meet."""
        _, findings = plan_text(tmp_path, f"{DISK}repo --name={name}\n%packages\n%end\n", target=target)

        assert findings.errors[0].where == f"{tmp_path}/test.ks:4"

    @pytest.mark.parametrize("line", ["url --url=/srv/os", "repo --name=a --baseurl='https://a b'"])
    def test_address_that_is_no_url_is_an_error(self, tmp_path: Path, line: str) -> None:
        _, findings = plan_text(tmp_path, f"{DISK}{line}\n%packages\n%end\n")

        assert len(findings.errors) == 1


REPOS = {
    "url": (
        "a=https://a.example/$releasever/",
        Repository(name="a", baseurl=("https://a.example/$releasever/",)),
    ),
    "metalink": (
        "a=metalink:https://a.example/?b=c",
        Repository(name="a", metalink="https://a.example/?b=c"),
    ),
    "mirrorlist": ("a=mirrorlist:http://a.example/", Repository(name="a", mirrorlist="http://a.example/")),
}


@pytest.mark.parametrize(("text", "expected"), REPOS.values(), ids=REPOS)
def test_repository_of_the_command_line(text: str, expected: Repository) -> None:
    assert parse_repository(text) == expected


def test_folder_becomes_a_file_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a b").mkdir()
    monkeypatch.chdir(tmp_path)

    assert parse_repository("a=a b").baseurl == ((tmp_path / "a b").as_uri(),)


@pytest.mark.parametrize("text", ["", "a", "a=", "=https://x", "a b=https://x", "a=nowhere", "a=gopher://x"])
def test_repository_of_another_form_is_bad_input(text: str) -> None:
    with pytest.raises(InputError, match="--repo"):
        parse_repository(text)


def test_tree_that_is_no_url_is_bad_input() -> None:
    with pytest.raises(InputError, match="--tree: nowhere is neither a URL nor a folder"):
        parse_url("--tree", "nowhere")


SIZES = {"4G": 4096, "4GiB": 4096, "512M": 512, "700": 700, "1t": 1048576}


@pytest.mark.parametrize(("text", "expected"), SIZES.items(), ids=SIZES)
def test_size(text: str, expected: int) -> None:
    assert parse_size(text) == expected


@pytest.mark.parametrize("text", ["", "0", "G", "-1", "1.5G", "1X"])
def test_size_of_another_form_is_bad_input(text: str) -> None:
    with pytest.raises(InputError, match="--size"):
        parse_size(text)
