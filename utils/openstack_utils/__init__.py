# SPDX-License-Identifier: MIT
"""The utilities that openstack-utils installs on hosts.

Python 3.6 and the standard library only; nothing here imports the builder. `openstack_utils.ini`
is the documented programming interface of the ini editor, everything else may change.
"""

VERSION = "2026.2"
