#!/bin/sh
# SPDX-License-Identifier: MIT
# grub2-probe(8), as on the planned disk.
# shellcheck source=builder/image/isolation/shims/answers.sh
. /run/openstack-builder/bin/.answers

target=fs
devices=
what=
while [ $# -gt 0 ]; do
    case $1 in
        --target=*) target=${1#*=} ;;
        --target | -t) target=$2 && shift ;;
        -t*) target=${1#-t} ;;
        --device | -d) devices=1 ;;
        --device-map=* | -v | --verbose) ;;
        --device-map | -m) shift ;;
        -*) ;;
        *) what="$what $1" ;;
    esac
    shift
done
for one in $what; do
    if [ "$devices" ]; then
        source=$(canonical "$one")
    elif ! find_mount "$one"; then
        echo "$NAME: error: failed to get canonical path of \`$one'." >&2
        exit 1
    fi
    find_device "$source" || [ "$source" = "/dev/$DISK" ] || {
        echo "$NAME: error: cannot find a GRUB drive for $source." >&2
        exit 1
    }
    case $target in
        device) echo "$source" ;;
        disk) echo "/dev/$DISK" ;;
        fs) echo "$fstype" | sed 's/^ext[234]$/ext2/;s/^vfat$/fat/' ;;
        fs_uuid) echo "$uuid" ;;
        fs_label) echo "$label" ;;
        partuuid) echo "$partuuid" ;;
        partmap) echo "$TABLE" ;;
        abstraction) case $parent in *lvm*) echo lvm ;; *) echo ;; esac ;;
        drive) echo "(hd0${number:+,$TABLE$number})" ;;
        compatibility_hint | bios_hints) echo "hd0${number:+,$TABLE$number}" ;;
        hints_string) echo "--hint='hd0${number:+,$TABLE$number}'" ;;
        *) echo ;;
    esac
done
