#!/bin/sh
# SPDX-License-Identifier: MIT
# blkid(8), as on the planned disk.
# shellcheck source=builder/image/isolation/shims/answers.sh
. /run/openstack-builder/bin/.answers

tag=
form=full
names=
while [ $# -gt 0 ]; do
    case $1 in
        -s | --match-tag) tag="$tag $2" && shift ;;
        -s?*) tag="$tag ${1#-s}" ;;
        -o | --output) form=$2 && shift ;;
        -o?*) form=${1#-o} ;;
        -U | --uuid) by_tag UUID "$2" && exit 0 || exit 2 ;;
        -L | --label) by_tag LABEL "$2" && exit 0 || exit 2 ;;
        -t | --match-token) names="$names $(canonical "$2")" && shift ;;
        -c | -w) shift ;;
        -*) ;;
        *) names="$names $1" ;;
    esac
    shift
done
if [ -z "$names" ]; then
    while IFS='|' read -r one _; do names="$names $one"; done <"$TABLES/.devices"
fi
status=2
for one in $names; do
    find_device "$one" || continue
    line=
    for pair in "LABEL=$label" "UUID=$uuid" "TYPE=$fstype" "PARTUUID=$partuuid"; do
        key=${pair%%=*}
        value=${pair#*=}
        [ "$value" ] || continue
        [ -z "$tag" ] || case " $tag " in *" $key "*) ;; *) continue ;; esac
        status=0
        case $form in
            value) echo "$value" ;;
            export | udev) echo "$pair" ;;
            device) line=$device ;;
            *) line="$line $key=\"$value\"" ;;
        esac
    done
    case $form in
        device) [ -z "$line" ] || echo "$line" ;;
        full) [ -z "$line" ] || echo "$device:$line" ;;
    esac
done
exit $status
