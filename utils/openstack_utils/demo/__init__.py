# SPDX-License-Identifier: MIT
"""openstack-demo-install: a host with the packages becomes a cloud."""
