#!/bin/sh
# SPDX-License-Identifier: MIT
# pkg-map --element ELEMENT [--missing-ok] [--prefix TEXT] NAME...: what packages are called here.
map=/run/openstack-builder/elements-given/package-map
element='' missing='' prefix='' names=''
while [ $# -gt 0 ]; do
    case $1 in
    --element) element=$2 && shift ;;
    --element=*) element=${1#*=} ;;
    --prefix) prefix=$2 && shift ;;
    --prefix=*) prefix=${1#*=} ;;
    --distro | --release) shift ;;
    --missing-ok) missing=1 ;;
    -*) ;;
    *) names="$names $1" ;;
    esac
    shift
done
[ -n "$element" ] || { echo "pkg-map: no --element" >&2 && exit 1; }
tab=$(printf '\t')
if [ -z "$missing" ] && ! grep -q "^$element$tab" "$map"; then
    echo "pkg-map: the element $element has no pkg-map" >&2
    exit 2
fi
for name in $names; do
    if grep -q "^$element$tab$name$tab" "$map"; then
        for mapped in $(sed -n "s/^$element$tab$name$tab//p" "$map"); do echo "$prefix$mapped"; done
    elif [ -n "$missing" ]; then
        echo "$prefix$name"
    else
        echo "pkg-map: the pkg-map of $element does not know $name" >&2
        exit 1
    fi
done
