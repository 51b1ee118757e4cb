# SPDX-License-Identifier: MIT
"""openstack-python-bundled: which Python distributions the services' environment holds, for each Python."""
