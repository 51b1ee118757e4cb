# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034
# What the programs of this folder share: the planned disk, read from two tables. Sourced.
#
#   devices: device|number|fstype|uuid|label|partuuid|first sector|bytes|parent
#   mounts:  point|device|fstype|options|top

HERE=/run/openstack-builder/bin
TABLES=${BUILDER_TABLES-$HERE}
NAME=${0##*/}
# Lines of the first table say which disk it is: "disk|vda|gpt|bytes".
IFS='|' read -r _ DISK TABLE BYTES <"$TABLES/.disk"

# The name that the tables have for a device that a script calls sda, vda or xvda.
canonical() {
    case $1 in
        /dev/[sv]da*) echo "/dev/$DISK${1#/dev/?da}" ;;
        /dev/xvda*) echo "/dev/$DISK${1#/dev/xvda}" ;;
        UUID=* | LABEL=* | PARTUUID=*) by_tag "${1%%=*}" "${1#*=}" ;;
        *) echo "$1" ;;
    esac
}

# The device that has a tag.
by_tag() {
    while IFS='|' read -r d_ n_ f_ u_ l_ p_ _; do
        case $1 in UUID) v_=$u_ ;; LABEL) v_=$l_ ;; *) v_=$p_ ;; esac
        [ -n "$v_" ] && [ "$v_" = "$2" ] && echo "$d_" && return 0
    done <"$TABLES/.devices"
    return 1
}

# Set device, number, fstype, uuid, label, partuuid, start, size and parent for a device.
find_device() {
    want_=$(canonical "$1")
    while IFS='|' read -r device number fstype uuid label partuuid start size parent; do
        [ "$device" = "$want_" ] && return 0
    done <"$TABLES/.devices"
    return 1
}

is_disk() {
    [ "$(canonical "$1")" = "/dev/$DISK" ]
}

# Set point, source, kind, options and top for the mount that holds a path.
find_mount() {
    path_=$1
    case $path_ in
        /mnt/sysimage | /mnt/sysroot) path_=/ ;;
        /mnt/sysimage/*) path_=${path_#/mnt/sysimage} ;;
        /mnt/sysroot/*) path_=${path_#/mnt/sysroot} ;;
    esac
    [ "$path_" = / ] || path_=${path_%/}
    found_=
    while IFS='|' read -r m_ s_ k_ o_ t_; do
        # Not in the pattern itself: bash takes the slash there for another.
        above_=${m_%/}
        case $path_/ in
            "$above_"/*)
                if [ ${#m_} -ge ${#found_} ]; then
                    found_=$m_ point=$m_ source=$s_ kind=$k_ options=$o_ top=$t_
                fi
                ;;
        esac
    done <"$TABLES/.mounts"
    [ -n "$found_" ]
}

# Run the next program of that name in PATH; report an error where there is none.
real() {
    PATH=${PATH#"$HERE":}
    if [ "$(command -v "$NAME")" ]; then
        exec "$NAME" "$@"
    fi
    echo "$NAME: not found" >&2
    exit 127
}

note() {
    echo "$NAME: not now: $1" >&2
}
