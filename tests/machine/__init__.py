# SPDX-License-Identifier: MIT
"""Machines: root file systems of our own, booted with a real init as PID 1 (systemd-nspawn), for tests.

In Python: `with tests.machine.machine.booted(tests.machine.fixture_root.SOURCE, runner) as machine: ...`;
in tests: the fixtures `fixture_machine` and `sysv_machine`; by hand: `python -m tests.machine`.
README.md says what is real and what is a double.
"""
