#!/bin/sh
# SPDX-License-Identifier: MIT
# Boot a tree, in namespaces made by `unshare --mount --pid --fork --kill-child --mount-proc`.
#
#   boot.sh TREE SPACE SIZE GROUPS -- words for systemd-nspawn
#
# SIZE is that of the tmpfs: 4g.
# TREE is never written to: an overlay on a tmpfs lies over it, so that nothing of the machine outlives
# these namespaces, and no fsync of rpm or of a database waits for a disk. GROUPS are cgroup.procs files.
set -eu
tree=$1 space=$2 size=$3
shift 3
while [ "$1" != -- ]; do
    echo $$ >"$1"
    shift
done
shift
mount -t tmpfs -o mode=0755,size="$size" machine "$space"
mkdir "$space/upper" "$space/work" "$space/root"
mount -t overlay -o "lowerdir=$tree,upperdir=$space/upper,workdir=$space/work" machine "$space/root"
# nspawn's locks and sockets: the host's are not ours.
mount -t tmpfs -o mode=0755 machine /run
# From 258 on it refuses control groups of version 1: on a host that has both it gets version 2 alone.
version=$(systemd-nspawn --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
if [ "${version:-0}" -ge 258 ] && [ ! -e /sys/fs/cgroup/cgroup.controllers ] &&
    [ -e /sys/fs/cgroup/unified/cgroup.procs ]; then
    mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup
fi
# 133: the machine wants to be booted again (systemd-nspawn --keep-unit leaves that to its caller).
status=133
while [ $status = 133 ]; do
    status=0
    systemd-nspawn --quiet --register=no --keep-unit --private-network --console=pipe \
        --directory="$space/root" "$@" || status=$?
done
exit $status
