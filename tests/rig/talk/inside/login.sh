#!/bin/bash
# SPDX-License-Identifier: MIT
# Inside: log in to an instance from the name space of its network's DHCP agent, with the keypair, and read its
# metadata there.
#
#   login.sh NETWORK ADDRESS KEYFILE
set -eu
deadline=$((SECONDS + 900))
until timeout 60 ip netns exec "qdhcp-$1" ssh -i "$3" -o BatchMode=yes -o StrictHostKeyChecking=no \
    -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=10 "ec2-user@$2" \
    'id; uname -r; cat /etc/fixture-release; curl --silent --show-error --fail --max-time 20 http://169.254.169.254/openstack/latest/meta_data.json'; do
    if [ $SECONDS -gt $deadline ]; then
        echo "error: no login at $2" >&2
        exit 1
    fi
    sleep 2
done
