# SPDX-License-Identifier: MIT
"""Machines: root file systems of our own, booted with a real init as PID 1 (systemd-nspawn), for tests.

In Python: `with machine.booted(fixture_root.SOURCE, runner) as running: ...`;
in tests: the fixtures `fixture_machine` and `sysv_machine`; by hand: `python -m tests.rig.machine`.
README.md says what is real and what is a double.
"""
