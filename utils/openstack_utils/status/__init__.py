# SPDX-License-Identifier: MIT
"""openstack-status: what of OpenStack is on this host, and whether it works."""
