# SPDX-License-Identifier: MIT
"""The plane: a private MariaDB, Keystone and Glance on loopback, for tests, the demo, and by hand.

Everything in it is the real program, from Debian's or Fedora's mariadb-server and from PyPI. In Python:
`with tests.rig.plane.plane.private() as plane: ...`; in tests: the fixture `plane`; by hand: `make plane-up`.
"""
