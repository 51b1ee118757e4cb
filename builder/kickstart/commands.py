# SPDX-License-Identifier: MIT
"""The table: every kickstart command, its options, the sections, and what becomes of each.

A row for each command name of pykickstart (any syntax version). A reason reads on after "NAME: "; a way
out is an action. Which options are honoured is a promise: tests show the effect of each on the plan. `sets`
is the kind of settings that the command belongs to: they are read, shown and applied in the order of their
first rows, which is Anaconda's.
"""

from __future__ import annotations

from builder.kickstart.plan import Setting
from builder.kickstart.policy import CommandRow, harmless, honoured, refused
from builder.kickstart.settings.accounts import Accounts
from builder.kickstart.settings.locale import Locale
from builder.kickstart.settings.network import Network
from builder.kickstart.settings.security import Security
from builder.kickstart.settings.services import Services

_INSTALLER = "controls the installer's own screens and steps"
_REMOTE = "the guest starts without a screen, unless xconfig --startxonboot asks for one"
_ONE_DISK = "an image has one disk"
_NEW_DISK = "the disk of an image is always new"
_TLS_FILES = (
    "certificates of a repository are not supported",
    "trust the authority on this host, or mirror the repository",
)
_ENCRYPTION = (
    "encryption is not supported",
    "leave it out: a cloud encrypts volumes itself, and a key in an image is not a secret",
)
_EXISTING_VOLUME = ("the disk of an image is new, there is nothing to reuse", "remove it")
_THIN = ("thin pools and caches are not supported", "write a linear volume: logvol with --size or --grow")
_EXISTING = (
    "needs a disk that holds partitions already, and the disk of an image is new",
    "give --size (and --grow) and let the layout be made",
)
_NO_RADIO = ("a guest has no radio", "leave it out")
_OSTREE = "an image is made of packages, not of an ostree commit"
_CONTAINER = "an image is made of packages, not of a container"
_GRUB = "the boot loader is GRUB, which is used"
_STORAGE_NETWORK = ("the disk of an image is a file", "attach storage in the cloud")
_SOURCE_MEDIUM = (
    "packages come from repositories",
    "give --tree URL or --repo NAME=URL, or a url line",
)

_ENCRYPTED = {
    "--encrypted --passphrase --escrowcert --backuppassphrase --cipher --luks-version --pbkdf "
    "--pbkdf-iterations --pbkdf-memory --pbkdf-time": _ENCRYPTION
}
_HARDWARE_ENCRYPTED = {**_ENCRYPTED, "--hw-passphrase": _ENCRYPTION}

_PARTITION = honoured(
    "--fstype --type --size --grow --maxsize --label --fsoptions --mkfsoptions --recommended --hibernation "
    "--onpart --usepart",
    harmless={
        "--asprimary": "every partition is a primary one",
        "--active": "firmware does not look at the active flag",
        "--ondisk --ondrive": _ONE_DISK,
    },
    refused={
        "--noformat --resize": _EXISTING,
        "--onbiosdisk --start --end": ("places on the disk are chosen by the layout", "leave it out"),
        "--bytes-per-inode --fsprofile": (
            "is not supported",
            "give mke2fs's options in --mkfsoptions, such as -i 8192 or -T small",
        ),
        **_HARDWARE_ENCRYPTED,
    },
    repeatable=True,
)

COMMANDS: dict[str, CommandRow] = {
    # -- locale ---------------------------------------------------------------------------------
    "lang": honoured("--addsupport", sets=Locale),
    "keyboard": honoured("--vckeymap --xlayouts --switch", sets=Locale),
    "timezone": honoured(
        tolerated={"--utc": "--isUtc", "--isUtc": "--utc", "--nontp": "", "--ntpservers": "="},
        sets=Locale,
    ),
    "timesource": honoured(
        "--ntp-server --ntp-pool --ntp-disable --nts",
        repeatable=True,
        sets=Locale,
    ),
    # -- network --------------------------------------------------------------------------------
    "network": honoured(
        "--hostname --bootproto --device --interfacename --onboot --mtu --ethtool "
        "--ip --netmask --gateway --noipv4 --dhcpclass --nodefroute "
        "--ipv6 --ipv6gateway --noipv6 "
        "--nameserver --nodns --ipv4-dns-search --ipv6-dns-search "
        "--ipv4-ignore-auto-dns --ipv6-ignore-auto-dns "
        "--bondslaves --bondopts --bridgeslaves --bridgeopts --teamslaves --teamconfig --vlanid",
        harmless={
            "--activate --no-activate --notksdevice": "the network of the build is not the guest's",
        },
        replaced={"--bindto": "the address of a guest is not known yet; the device's name is used"},
        refused={"--essid --wepkey --wpakey": _NO_RADIO},
        repeatable=True,
        sets=Network,
    ),
    # -- security -------------------------------------------------------------------------------
    "auth": honoured(free=True, repeatable=True, removed=True, sets=Security),
    "authconfig": honoured(free=True, repeatable=True, removed=True, sets=Security),
    "authselect": honoured(free=True, sets=Security),
    "selinux": honoured("--enforcing --permissive --disabled", sets=Security),
    "firewall": honoured(
        "--enabled --enable --disabled --disable --service --remove-service --port --trust --ssh --http "
        "--ftp --smtp --use-system-defaults",
        refused={
            "--telnet": ("has no service of that name any more", "write --port=23:tcp"),
            "--high --medium": ("levels ended with Red Hat Linux 9", "write --enabled"),
        },
        sets=Security,
    ),
    # -- accounts -------------------------------------------------------------------------------
    "rootpw": honoured("--iscrypted --plaintext --lock --allow-ssh", sets=Accounts),
    "user": honoured(
        "--name --password --iscrypted --plaintext --lock --groups --homedir --shell --uid --gid --gecos",
        repeatable=True,
        sets=Accounts,
    ),
    "group": honoured("--name --gid", repeatable=True, sets=Accounts),
    "sshkey": honoured("--username", repeatable=True, sets=Accounts),
    # -- services -------------------------------------------------------------------------------
    "services": honoured("--enabled --disabled", sets=Services),
    "firstboot": honoured("--disable --disabled --enable --enabled --reconfig", sets=Services),
    "skipx": honoured(sets=Services),
    # The installer's own screens, of which the guest's default target depends.
    "text": honoured(harmless={"--non-interactive": _INSTALLER}, sets=Services),
    "cmdline": honoured(harmless={"--non-interactive": _INSTALLER}, sets=Services),
    "graphical": honoured(harmless={"--non-interactive": _INSTALLER}, sets=Services),
    "xconfig": honoured(
        "--startxonboot --defaultdesktop",
        harmless={
            "--card --depth --driver --hsync --monitor --noprobe --resolution --server --videoram --vsync": (
                "X finds its hardware itself"
            ),
        },
        sets=Services,
    ),
    # -- disk -----------------------------------------------------------------------------------
    "bootloader": honoured(
        "--append --timeout --location --disabled --password --iscrypted",
        harmless={
            "--boot-drive --driveorder": _ONE_DISK,
            "--leavebootorder": "the boot order of a guest belongs to the cloud",
            "--lba32 --linear --nolinear": "GRUB finds the disk's addresses itself",
            "--hvargs": "a guest has no hypervisor to start",
            "--upgrade": "there is nothing to upgrade",
        },
        replaced={"--extlinux --sdboot --useLilo": _GRUB},
        refused={
            "--md5pass": (
                "GRUB no longer takes MD5 hashes",
                "write --iscrypted --password=, with what grub2-mkpasswd-pbkdf2 prints",
            ),
            "--default": ("is not supported", "name the one kernel wanted in %packages"),
            "--nombr": ("is not supported", "write --location=none"),
        },
    ),
    "zerombr": honoured(),
    "clearpart": honoured(
        "--disklabel",
        harmless={
            "--all --linux --none --initlabel --cdl --list": _NEW_DISK,
            "--drives": _ONE_DISK,
        },
    ),
    "part": _PARTITION,
    "partition": _PARTITION,
    "reqpart": honoured("--add-boot"),
    "autopart": honoured(
        "--type --nolvm --fstype --noboot --noswap --nohome --hibernation",
        refused=_HARDWARE_ENCRYPTED,
    ),
    "volgroup": honoured(
        "--pesize --reserved-space --reserved-percent",
        refused={"--noformat --useexisting": _EXISTING_VOLUME},
        repeatable=True,
    ),
    "logvol": honoured(
        "--vgname --name --size --grow --maxsize --percent --recommended --hibernation --label --fstype "
        "--fsoptions --mkfsoptions",
        refused={
            "--thinpool --thin --poolname --chunksize --metadatasize --profile --cachesize --cachemode "
            "--cachepvs": _THIN,
            "--noformat --useexisting --resize": _EXISTING_VOLUME,
            "--fsprofile --bytes-per-inode": (
                "is not supported",
                "give mke2fs's options in --mkfsoptions, such as -i 8192 or -T small",
            ),
            **_ENCRYPTED,
        },
        repeatable=True,
    ),
    "btrfs": honoured(
        "--label --metadata --subvol --name --parent --mkfsoptions",
        harmless={"--data": "an image has one disk, so data has one copy"},
        refused={"--noformat --useexisting": _EXISTING_VOLUME},
        repeatable=True,
    ),
    "raid": refused("a guest has one disk", "use part lines"),
    "stratispool": refused("Stratis is not supported", "use part lines with ext4"),
    "stratisfs": refused("Stratis is not supported", "use part lines with ext4"),
    "mount": refused("mounts existing partitions, and the disk of an image is new", "use part lines"),
    "snapshot": refused("thin pools are not supported", "take snapshots in the guest"),
    "iscsi": refused(*_STORAGE_NETWORK),
    "iscsiname": refused(*_STORAGE_NETWORK),
    "fcoe": refused(*_STORAGE_NETWORK),
    "nvdimm": refused(*_STORAGE_NETWORK),
    "dmraid": refused(*_STORAGE_NETWORK),
    "multipath": refused(*_STORAGE_NETWORK),
    "zipl": refused("is the boot loader of s390x", "leave it out"),
    "lilo": refused("the boot loader is GRUB", "write a bootloader line"),
    # -- where packages come from ---------------------------------------------------------------
    "url": honoured(
        "--url --mirrorlist --metalink --proxy --noverifyssl",
        refused={"--sslcacert --sslclientcert --sslclientkey": _TLS_FILES},
    ),
    "repo": honoured(
        "--name --baseurl --mirrorlist --metalink --cost --includepkgs --excludepkgs --proxy --noverifyssl "
        "--install",
        tolerated={"--ignoregroups": "="},
        refused={
            "--sslcacert --sslclientcert --sslclientkey": _TLS_FILES,
        },
        repeatable=True,
    ),
    # Honoured in one way: an override of the command line replaces them. Without one they are errors.
    "cdrom": honoured(),
    "harddrive": honoured(
        harmless={"--biospart --partition --dir": "a source of the command line replaces it"}
    ),
    "nfs": honoured(harmless={"--server --dir --opts": "a source of the command line replaces it"}),
    "hmc": honoured(),
    "method": refused(*_SOURCE_MEDIUM),
    "liveimg": refused(
        "an image is made of packages, not of another image",
        "change that image with virt-customize or guestfish, or list its packages here",
    ),
    "ostreesetup": refused(_OSTREE, "image-builder (osbuild) makes disk images of ostree commits"),
    "ostreecontainer": refused(_CONTAINER, "bootc-image-builder makes disk images of bootable containers"),
    "bootc": refused(_CONTAINER, "bootc-image-builder makes disk images of bootable containers"),
    "module": refused("module streams are not supported", "name packages of the default stream"),
    "realm": refused("a guest joins a domain when it runs, not in an image", "use cloud-init, or a %post"),
    "rhsm": refused("registration belongs to the guest, not to an image", "give --repo, register later"),
    "syspurpose": refused("is not supported", "do it in a %post script"),
    "upgrade": refused("an image is always made new", "leave it out"),
    "rescue": refused("repairs an installed system, and installs nothing", "leave it out"),
    # -- no effect on an image ------------------------------------------------------------------
    "autostep": harmless(_INSTALLER),
    "device": harmless("a guest finds its hardware itself"),
    "deviceprobe": harmless("a guest finds its hardware itself"),
    "driverdisk": harmless("drivers of the installer are not the guest's"),
    "eula": harmless("nothing asks for it"),
    "halt": harmless("tells the installer how to end"),
    "ignoredisk": harmless(_ONE_DISK),
    "install": harmless("an image is always installed"),
    "interactive": harmless(_INSTALLER),
    "key": harmless("installation numbers ended with EL 5"),
    "langsupport": harmless("ended with Fedora Core 5; --inst-langs of %packages chooses languages"),
    "lilocheck": harmless("the boot loader is GRUB"),
    "logging": harmless("the build keeps its own logs"),
    "mediacheck": harmless("no medium is used"),
    "monitor": harmless("a guest finds its hardware itself"),
    "mouse": harmless("a guest finds its hardware itself"),
    "poweroff": harmless("tells the installer how to end"),
    "rdp": harmless(_REMOTE, sets=Services),
    "reboot": harmless("tells the installer how to end"),
    "shutdown": harmless("tells the installer how to end"),
    "sshpw": harmless("accounts of the installer are not the guest's"),
    "unsupported_hardware": harmless(_INSTALLER),
    "updates": harmless("updates of the installer are not the guest's"),
    "vnc": harmless(_REMOTE, sets=Services),
    "zfcp": harmless("is hardware of s390x"),
}

_SCRIPT_OPTIONS = "--interpreter --erroronfail --log --logfile"

SECTIONS: dict[str, CommandRow] = {
    "%packages": honoured(
        "--excludedocs --ignoremissing --nocore",
        harmless={
            "--nobase": "only what %packages names is installed",
            "--timeout --retries": "downloads have time limits of their own",
            "--resolvedeps": "dependencies are always solved",
        },
        tolerated={
            "--instLangs": "=--inst-langs",
            "--inst-langs": "=--instLangs",
            "--excludeWeakdeps": "--exclude-weakdeps",
            "--exclude-weakdeps": "--excludeWeakdeps",
        },
        refused={
            "--default": ("a build has no default environment", "name one: @^minimal-environment"),
            "--multilib": ("is not supported", "name the other architecture's packages: glibc.i686"),
            "--ignorebroken": ("leaves packages out silently", "exclude the broken ones by name"),
            "--ignoredeps": ("a guest with broken dependencies is not built", "leave it out"),
        },
        repeatable=True,
    ),
    "%pre": honoured(_SCRIPT_OPTIONS, repeatable=True),
    "%pre-install": honoured(_SCRIPT_OPTIONS, repeatable=True),
    "%post": honoured(_SCRIPT_OPTIONS + " --nochroot", repeatable=True),
    "%onerror": harmless("a build that fails says so itself"),
    "%traceback": harmless("a build that fails says so itself"),
    "%anaconda": harmless("rules of the installer's own screens"),
    "%certificate": honoured("--filename --dir --type", repeatable=True, sets=Security),
    # Add-ons are distinguished by name (`builder.kickstart.addons`).
    "%addon": honoured(free=True, repeatable=True, sets=Services),
}

# What an image could be made of, and is not: where one is asked for, nothing else matters.
MODELS = ("ostreesetup", "ostreecontainer", "bootc", "liveimg")

# The kinds of settings that a plan has one of each.
SETTINGS: tuple[type[Setting], ...] = tuple(
    dict.fromkeys(row.sets for row in (*COMMANDS.values(), *SECTIONS.values()) if row.sets is not None)
)
