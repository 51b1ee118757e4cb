#!/bin/sh
# SPDX-License-Identifier: MIT
# findmnt(8), as in the guest.
# shellcheck source=builder/image/isolation/shims/answers.sh
. /run/openstack-builder/bin/.answers

columns=TARGET,SOURCE,FSTYPE,OPTIONS
heading=1
exact=1
what=
while [ $# -gt 0 ]; do
    case $1 in
        -o | --output) columns=$2 && shift ;;
        --output=*) columns=${1#*=} ;;
        -T | --target) what=$2 exact='' && shift ;;
        --target=*) what=${1#*=} exact='' ;;
        -M | --mountpoint | -S | --source) what=$2 && shift ;;
        --mountpoint=* | --source=*) what=${1#*=} ;;
        -t | --types | -O | --options | -N | --task | -F | --tab-file) shift ;;
        --noheadings) heading= ;;
        --*) ;;
        -*)
            # Short options in one word: n, and o with its value, matter.
            case $1 in *n*) heading= ;; esac
            case $1 in
                *o) columns=$2 && shift ;;
                *T) what=$2 exact='' && shift ;;
            esac
            ;;
        *) what=${what:-$1} ;;
    esac
    shift
done
columns=$(echo "$columns" | tr 'a-z,' 'A-Z ')

show() {
    find_device "$source" || true
    line=
    for column in $columns; do
        case $column in
            TARGET) value=$point ;;
            SOURCE) value=$source${top:+[$top]} ;;
            FSTYPE) value=$kind ;;
            OPTIONS) value=$options ;;
            UUID) value=$uuid ;;
            LABEL) value=$label ;;
            PARTUUID) value=$partuuid ;;
            SIZE) value=$size ;;
            FSROOT) value=${top:-/} ;;
            *) value= ;;
        esac
        line="$line${line:+ }$value"
    done
    echo "$line"
}

[ -z "$heading" ] || echo "$columns"
if [ -n "$what" ]; then
    case $what in
        /dev/* | UUID=* | LABEL=* | PARTUUID=*)
            device=$(canonical "$what")
            while IFS='|' read -r point source kind options top; do
                [ "$source" = "$device" ] && show && exit 0
            done <"$TABLES/.mounts"
            exit 1
            ;;
    esac
    find_mount "$what" || exit 1
    [ -z "$exact" ] || [ "$point" = "$path_" ] || exit 1
    show
    exit 0
fi
while IFS='|' read -r point source kind options top; do show; done <"$TABLES/.mounts"
