#!/bin/sh
# SPDX-License-Identifier: MIT
# svc-map NAME...: what services are called here.
map=/run/openstack-builder/elements-given/service-map
tab=$(printf '\t')
for name in "$@"; do
    if [ ! -e "/usr/lib/systemd/system/$name.service" ] && grep -q "$tab$name$tab" "$map"; then
        sed -n "s/^[^$tab]*$tab$name$tab//p" "$map" | sed 1q
    else
        echo "$name"
    fi
done
