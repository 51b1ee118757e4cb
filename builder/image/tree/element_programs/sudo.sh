#!/bin/sh
# SPDX-License-Identifier: MIT
# sudo in a room: who runs there is root of the image already, and can be no more.
while :; do
    case ${1-} in
    -u | -g) shift 2 ;;
    -*) shift ;;
    *=*) export "${1?}" && shift ;;
    *) break ;;
    esac
done
exec "$@"
