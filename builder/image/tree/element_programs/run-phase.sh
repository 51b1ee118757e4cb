#!/bin/sh
# SPDX-License-Identifier: MIT
# run-phase image|host PHASE/SCRIPT: set what the user and environment.d set, then become the script.
set -eu
(set -o pipefail) 2>/dev/null && set -o pipefail
given=/run/openstack-builder/elements-given
. $given/variables
if [ "$1" = host ]; then
    export TMP_MOUNT_PATH=/mnt/sysimage TARGET_ROOT=/mnt/sysimage TMP_BUILD_DIR=/tmp
fi
export PATH="$given/bin:$PATH"
if [ -n "${BASH_VERSION-}" ]; then
    # An array cannot be exported: elements evaluate what this prints.
    eval "get_image_element_array() { echo \"$element_folders\"; }"
    export -f get_image_element_array
fi
part=
trap 'status=$?; [ -z "$part" ] || echo "environment.d/$part ended with status $status" >&2' EXIT
for file in /tmp/in_target.d/environment.d/*; do
    case ${file##*/} in *[!0-9A-Za-z_.-]*) continue ;; esac
    [ -f "$file" ] || continue
    part=${file##*/}
    . "$file"
done
part=
exec "/tmp/in_target.d/$2"
