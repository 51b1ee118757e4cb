# SPDX-License-Identifier: MIT
"""Inside: prints where the console of an instance is to be seen, once.

    console.py NAME

The login comes from the OS_* variables of a keystonerc.
"""

import sys

import openstack

cloud = openstack.connect()
server = cloud.compute.find_server(sys.argv[1], ignore_missing=False)
print(cloud.compute.create_server_remote_console(server, protocol="vnc", type="novnc").url)
