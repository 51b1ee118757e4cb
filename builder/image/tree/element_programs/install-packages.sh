#!/bin/sh
# SPDX-License-Identifier: MIT
# install-packages [-m ELEMENT] NAME...: packages are installed before phases, so they must be there already.
element='' remove=''
while getopts hud:em: option; do
    case $option in
    u) echo "install-packages -u: all packages are as new as the repositories have them" >&2 && exit 0 ;;
    m) element=$OPTARG ;;
    e) remove=1 ;;
    d) echo "install-packages -d: packages are not downloaded into an image" >&2 && exit 1 ;;
    *) exit 1 ;;
    esac
done
shift $((OPTIND - 1))
names=$*
[ -z "$element" ] || names=$(pkg-map --missing-ok --element "$element" "$@") || exit 1
status=0
for name in $names; do
    if grep -qxF "$name" /run/openstack-builder/elements-given/packages ||
        rpm -q --quiet --whatprovides "$name" 2>/dev/null; then
        [ -z "$remove" ] || rpm -e "$name" || status=1
    elif [ -z "$remove" ]; then
        echo "install-packages: $name is not in the image: name it in package-installs.yaml of the element," \
            "or in %packages, since phases install nothing" >&2
        status=1
    fi
done
exit $status
