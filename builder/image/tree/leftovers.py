# SPDX-License-Identifier: MIT
"""What a finished image must not hold, and what of it an author may have put there on purpose. Data.

Globs from the root of the image. They follow virt-sysprep's operations (guestfs-tools,
sysprep/sysprep_operation_*.ml) and rows 9 to 19 of the project's checklist.
"""

from __future__ import annotations

# By-products of programs, which nobody makes on purpose: always removed.
JUNK = (
    "tmp/*", "tmp/.[!.]*", "run/*", "var/tmp/dnf-*", "var/tmp/yum-*", "var/tmp/dracut.*", "var/tmp/rpm-tmp.*",
    "var/cache/dnf/*", "var/cache/yum/*", "var/cache/libdnf5/*", "var/cache/ldconfig/aux-cache",
    "var/lib/dnf/*.pid", "var/lib/dnf/*lock*",
    "var/lib/rpm/__db*", "var/lib/rpm/.rpm.lock", "var/lib/rpm/.dbenv.lock",
    "usr/lib/sysimage/rpm/__db*", "usr/lib/sysimage/rpm/.rpm.lock",
    "root/.wget-hsts", "root/.cache", "root/.dbus", "root/.rpmdb",
    "etc/.pwd.lock", "etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/subuid-", "etc/subgid-",
    "var/log/dnf*.log*", "var/log/hawkey.log*", "var/log/journal/*", "var/log/anaconda",
)  # fmt: skip

# What must differ in every guest, or harms it: removed whoever made it, said aloud where a script did.
# --keep-file insists.
IDENTITY = {
    "etc/machine-id": "every guest must have one of its own",
    "var/lib/dbus/machine-id": "every guest must have one of its own",
    "etc/ssh/ssh_host_*": "every guest must have keys of its own",
    "var/lib/systemd/random-seed": "all guests would begin with the same random numbers",
    "var/lib/random-seed": "all guests would begin with the same random numbers",
    "boot/loader/random-seed": "all guests would begin with the same random numbers",
    "boot/efi/loader/random-seed": "all guests would begin with the same random numbers",
    "var/lib/systemd/credential.secret": "all guests would share it",
    "var/lib/yum/uuid": "all guests would count as one",
    "var/lib/cloud/instance": "cloud-init would take the guest for one that it has set up",
    "var/lib/cloud/instances": "cloud-init would take the guest for one that it has set up",
    "var/lib/cloud/data": "cloud-init would take the guest for one that it has set up",
    "var/lib/cloud/sem": "cloud-init would take the guest for one that it has set up",
    "root/.bash_history": "it may hold secrets",
    ".autorelabel": "files are labelled on the disk, and the first boot would do it again and start over",
}

# Left by packages and by the build: removed, unless a script or a command of the kickstart made it.
REMAINS = (
    "etc/hostname", "var/tmp/*", "var/tmp/.[!.]*",
    "etc/udev/rules.d/70-persistent-*.rules", "etc/udev/rules.d/75-persistent-net-generator.rules",
    "var/lib/dhclient/*", "var/lib/dhcp/*", "var/lib/NetworkManager/*", "var/lib/chrony/*",
    "etc/lvm/devices/system.devices", "etc/lvm/archive/*", "etc/lvm/backup/*",
    "root/anaconda-ks.cfg", "root/original-ks.cfg", "root/install.log*",
    "var/lib/cloud/*", "var/spool/mail/root",
)  # fmt: skip

# Kept, emptied, unless a script wrote it: programs expect them with owner and mode.
EMPTIED = ("etc/resolv.conf", "var/log/**/*")
# Logs that programs write by themselves, also when a script runs them.
LOGS_OF_PROGRAMS = (
    "var/log/yum.log*", "var/log/lastlog", "var/log/wtmp*", "var/log/btmp*", "var/log/faillog",
    "var/log/tallylog", "var/log/audit/*", "var/log/cloud-init*", "var/log/firewalld*", "var/log/tuned/*",
    "var/log/boot.log*", "var/log/messages*", "var/log/secure*", "var/log/maillog*", "var/log/cron*",
    "var/log/spooler*", "var/log/syslog*", "var/log/auth.log*", "var/log/alternatives.log*",
    "var/log/private/*", "var/log/chrony/*", "var/log/sssd/*", "var/log/rhsm/*",
)  # fmt: skip

# Where else a script's files are remembered, so that nobody takes them for leftovers. Not what is below.
SCRIPTS_OWN = ("root/*", "root/.[!.]*", "root/.ssh/*", "home/*/.ssh/*")
