#!/bin/sh
# SPDX-License-Identifier: MIT
# Programs that look at a partition table or change it. The disk is laid out by the plan, and written later;
# on anything else the image's own program runs.
# shellcheck source=builder/image/isolation/shims/answers.sh
. /run/openstack-builder/bin/.answers

ours=
for word in "$@"; do
    case $word in
        /dev/*) if is_disk "$word" || find_device "$word"; then ours=$word; fi ;;
    esac
done
case "$NAME $*" in
    "partprobe " | "sfdisk -l" | "sfdisk --list" | "fdisk -l" | "parted -l" | "parted -s -l") ours=/dev/$DISK ;;
esac
[ "$ours" ] || real "$@"
case "$NAME $*" in
    *print* | *\ -l* | *--list* | *\ -p\ *)
        echo "Disk /dev/$DISK: ${BYTES}B"
        echo "Partition Table: $TABLE"
        while IFS='|' read -r device number fstype _ label _ start size _; do
            [ -z "$number" ] || echo "$number $device ${start}s $((size / 512))s $fstype $label"
        done <"$TABLES/.devices"
        ;;
    "sfdisk --dump"* | "sfdisk -d"*)
        case $TABLE in msdos) echo "label: dos" ;; *) echo "label: $TABLE" ;; esac
        echo "device: /dev/$DISK"
        echo "unit: sectors"
        echo
        while IFS='|' read -r device number _ _ _ partuuid start size _; do
            [ -z "$number" ] || echo "$device : start=$start, size=$((size / 512)), uuid=$partuuid"
        done <"$TABLES/.devices"
        ;;
    "blockdev --getsize64"*) find_device "$ours" && echo "$size" || echo "$BYTES" ;;
    "blockdev --getsz"*) find_device "$ours" && echo $((size / 512)) || echo $((BYTES / 512)) ;;
    "blockdev --getss"* | "blockdev --getpbsz"*) echo 512 ;;
    *) note "the disk is written when the image is, as the kickstart's lines say" ;;
esac
exit 0
