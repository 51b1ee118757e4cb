# SPDX-License-Identifier: MIT
"""openstack-db: the databases, accounts, URLs and tables of OpenStack services."""
