# SPDX-License-Identifier: MIT
"""openstack-status: what of OpenStack is on this host, and how it does."""
