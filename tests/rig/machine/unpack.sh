#!/bin/sh
# SPDX-License-Identifier: MIT
# Unpack Debian packages into a root whose /bin and its like are links: unpack.sh ROOT PACKAGE...
set -eu
root=$1
shift
for package; do
    # dpkg-deb's own failure is not seen through a pipe, but tar refuses what it left unfinished.
    dpkg-deb --fsys-tarfile "$package" | tar --extract --keep-directory-symlink --directory="$root"
done
