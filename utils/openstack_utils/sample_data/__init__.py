# SPDX-License-Identifier: MIT
"""openstack-keystone-sample-data: the users, services and endpoints of a first cloud."""
