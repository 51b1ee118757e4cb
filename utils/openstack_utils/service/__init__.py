# SPDX-License-Identifier: MIT
"""openstack-service: the OpenStack services of this host, found, ordered, shown and acted on."""
