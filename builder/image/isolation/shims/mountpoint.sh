#!/bin/sh
# SPDX-License-Identifier: MIT
# mountpoint(1), as in the guest.
# shellcheck source=builder/image/isolation/shims/answers.sh
. /run/openstack-builder/bin/.answers

quiet=
what=
for word in "$@"; do
    case $word in
        -q | --quiet) quiet=1 ;;
        -*) ;;
        *) what=$word ;;
    esac
done
case $what in
    /proc | /sys | /dev | /run) point=$what path_=$what ;;
    *) find_mount "$what" ;;
esac
if [ "$point" = "$path_" ]; then
    [ "$quiet" ] || echo "$what is a mountpoint"
    exit 0
fi
[ "$quiet" ] || echo "$what is not a mountpoint"
exit 32
