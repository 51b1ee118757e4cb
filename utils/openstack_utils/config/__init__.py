# SPDX-License-Identifier: MIT
"""openstack-config: the command line over the editor of ini files."""
