#!/bin/sh
# SPDX-License-Identifier: MIT
# lsblk(8), as on the planned disk.
# shellcheck source=builder/image/isolation/shims/answers.sh
. /run/openstack-builder/bin/.answers

columns=NAME,SIZE,TYPE,MOUNTPOINTS
heading=1
alone=
bytes=
paths=
names=
while [ $# -gt 0 ]; do
    case $1 in
        -o | --output) columns=$2 && shift ;;
        --output=*) columns=${1#*=} ;;
        --noheadings) heading= ;;
        --nodeps) alone=1 ;;
        --paths) paths=1 ;;
        --bytes) bytes=1 ;;
        --json)
            echo "$NAME: $1: no JSON in a build" >&2
            exit 1
            ;;
        --fs) columns=NAME,FSTYPE,LABEL,UUID,MOUNTPOINTS ;;
        -I | -e | --include | --exclude) shift ;;
        --*) ;;
        -*)
            case $1 in
                *J*)
                    echo "$NAME: $1: no JSON in a build" >&2
                    exit 1
                    ;;
            esac
            case $1 in *n*) heading= ;; esac
            case $1 in *b*) bytes=1 ;; esac
            case $1 in *d*) alone=1 ;; esac
            case $1 in *p*) paths=1 ;; esac
            case $1 in *f*) columns=NAME,FSTYPE,LABEL,UUID,MOUNTPOINTS ;; esac
            case $1 in *o) columns=$2 && shift ;; esac
            ;;
        *) names="$names $(canonical "$1")" ;;
    esac
    shift
done
columns=$(echo "$columns" | tr 'a-z,' 'A-Z ')

# A size as lsblk shows it: 5G, 1.5G, 512M.
human() {
    [ -z "$bytes" ] || { echo "$1" && return; }
    whole_=$1 rest_=0 unit_=B
    for next_ in K M G T P; do
        [ "$whole_" -ge 1024 ] || break
        rest_=$((whole_ % 1024)) whole_=$((whole_ / 1024)) unit_=$next_
    done
    rest_=$(((rest_ * 10 + 512) / 1024))
    [ "$rest_" -lt 10 ] || whole_=$((whole_ + 1)) rest_=0
    [ "$rest_" -eq 0 ] && echo "$whole_$unit_" || echo "$whole_.$rest_$unit_"
}

show() {
    where=
    while IFS='|' read -r m_ s_ _; do
        [ "$s_" != "$device" ] || where=$m_
    done <"$TABLES/.mounts"
    line=
    for column in $columns; do
        case $column in
            NAME | KNAME) value=${device#/dev/} && value=${value#mapper/} && [ -z "$paths" ] || value=$device ;;
            PATH) value=$device ;;
            PKNAME) value=${parent#lvm:} ;;
            SIZE) value=$(human "$size") ;;
            RM | RO | HOTPLUG | ROTA) value=0 ;;
            MAJ:MIN) value=252:${number:-0} ;;
            TRAN) value=virtio ;;
            TYPE)
                value=part
                [ "$device" != "/dev/$DISK" ] || value=disk
                case $parent in lvm:*) value=lvm ;; esac
                ;;
            FSTYPE) value=$fstype ;;
            UUID) value=$uuid ;;
            LABEL) value=$label ;;
            PARTUUID) value=$partuuid ;;
            PTTYPE) value=$TABLE ;;
            PARTN) value=$number ;;
            MOUNTPOINT | MOUNTPOINTS) value=$where ;;
            *) value= ;;
        esac
        line="$line${line:+ }$value"
    done
    echo "$line"
}

[ -z "$heading" ] || echo "$columns"
status=32
while IFS='|' read -r device number fstype uuid label partuuid _ size parent; do
    wanted=
    [ -n "$names" ] || wanted=1
    for one in $names; do
        [ "$one" != "$device" ] || wanted=1
        [ "$alone" ] || [ "$one" != "/dev/${parent#lvm:}" ] || wanted=1
    done
    [ -z "$names" ] && [ "$alone" ] && [ "$device" != "/dev/$DISK" ] && wanted=
    [ -z "$wanted" ] || { show && status=0; }
done <"$TABLES/.devices"
exit $status
