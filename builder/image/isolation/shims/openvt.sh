#!/bin/sh
# SPDX-License-Identifier: MIT
# openvt(1): a build has no screen, so that a command runs where it is called. Without -w nobody learns how
# it ended.

waits=
while [ $# -gt 0 ]; do
    case $1 in
        --)
            shift
            break
            ;;
        -c | --console) shift ;;
        --wait | --exec) waits=1 ;;
        --*) ;;
        -*)
            # Short options in one word; c has its value in the next.
            case $1 in *[ew]*) waits=1 ;; esac
            case $1 in *c) shift ;; esac
            ;;
        *) break ;;
    esac
    shift
done
[ $# -gt 0 ] || exit 0
[ "$waits" ] && exec "$@"
"$@"
exit 0
