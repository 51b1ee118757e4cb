# SPDX-License-Identifier: MIT
"""From a spec to source and binary RPMs: planned, then run by rpmbuild or mock."""
