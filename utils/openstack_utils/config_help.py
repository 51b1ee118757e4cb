# SPDX-License-Identifier: MIT
"""What `openstack-config --help` and `--version` print."""

VERSION = "1.0"

HELP = """\
openstack-config: read and change OpenStack's configuration files

  openstack-config --set FILE SECTION [PARAM [VALUE]]
  openstack-config --get FILE [SECTION [PARAM]]
  openstack-config --del FILE SECTION [PARAM [VALUE]]
"""


def text(version=None):
    """The help text, or with `version` the version line."""
    return "openstack-config %s\n" % VERSION if version else HELP
