# SPDX-License-Identifier: MIT
"""A real Koji on loopback, made from its public source: hub, PostgreSQL, file server and one builder.

By hand only (`python -m tests.rig.koji SOURCE`; tests/koji/README.md says how): no test starts it.
"""
