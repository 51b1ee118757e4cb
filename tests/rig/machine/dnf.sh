#!/bin/sh
# SPDX-License-Identifier: MIT
# Run dnf on a root, in namespaces made by `unshare --mount --pid --fork`: dnf.sh ROOT WORDS...
# Scriptlets want /proc, some devices and an empty /run; they get those and nothing of the host.
set -eu
root=$1
shift
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/run"
mount -t tmpfs dev "$root/dev"
ln -s /proc/self/fd "$root/dev/fd"
for name in null zero full random urandom; do
    : >"$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
done
mount -t proc proc "$root/proc"
mount -t tmpfs run "$root/run"
exec dnf --installroot="$root" "$@"
