# SPDX-License-Identifier: MIT
"""A root on LVM takes the room that a larger disk has, at every boot.

cloud-init grows a partition and the file system on it (its growpart and resizefs), but nothing in between: so
a unit of ours grows the partition, the physical volume, the root volume and its file system.
"""

from __future__ import annotations

from builder.image.build import Build
from builder.image.tree import tree

UNIT = "grow-root-volume.service"
PROGRAM = "/usr/local/sbin/grow-root-volume"

_UNIT_TEXT = f"""\
[Unit]
Description=Grow the root volume to the size of the disk
After=local-fs.target
ConditionVirtualization=vm
ConditionFileIsExecutable=/usr/bin/growpart

[Service]
Type=oneshot
ExecStart={PROGRAM}

[Install]
WantedBy=multi-user.target
"""

# growpart ends with 1 where there is nothing to do. lvextend --resizefs needs a tool that is not everywhere.
_PROGRAM_TEXT = """\
#!/bin/sh
# Made with the image: the partition of the root's volume group, then the root, take what the disk has.
set -eu
source=$(findmnt -nvro SOURCE /)
type=$(findmnt -nvro FSTYPE /)
group=$(lvs --noheadings -o vg_name "$source" | tr -d ' ')
for member in $(pvs --noheadings -o pv_name --select "vg_name=$group"); do
    name=$(basename "$(readlink -f "$member")")
    [ -e "/sys/class/block/$name/partition" ] || continue
    number=$(cat "/sys/class/block/$name/partition")
    disk=$(basename "$(readlink -f "/sys/class/block/$name/..")")
    growpart "/dev/$disk" "$number" || [ $? -eq 1 ]
    pvresize "$member"
done
[ "$(vgs --noheadings -o vg_free_count "$group" | tr -d ' ')" -gt 0 ] || exit 0
lvextend -l +100%FREE "$source"
case $type in
xfs) xfs_growfs / ;;
btrfs) btrfs filesystem resize max / ;;
ext*) resize2fs "$source" ;;
esac
"""


def apply(build: Build) -> None:
    """Write the unit and its program, and enable it, where the root is a logical volume."""
    root = build.plan.disk.holding("/")
    if root is None or root in build.plan.disk.partitions or not tree.path("/usr/bin/systemctl").exists():
        return
    tree.write(PROGRAM, _PROGRAM_TEXT, mode=0o755)
    tree.write(f"/etc/systemd/system/{UNIT}", _UNIT_TEXT)
    wanted = tree.path("/etc/systemd/system/multi-user.target.wants")
    wanted.mkdir(parents=True, exist_ok=True)
    (wanted / UNIT).symlink_to(f"/etc/systemd/system/{UNIT}")
