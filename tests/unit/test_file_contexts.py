# SPDX-License-Identifier: MIT
"""Which label a path gets, as libselinux chooses it."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from builder.formats.file_contexts import FileContexts

POLICY = r"""
# a comment
/.*	system_u:object_r:default_t:s0
/[^/]+	--	system_u:object_r:etc_runtime_t:s0
/	-d	system_u:object_r:root_t:s0
/usr/.*	system_u:object_r:usr_t:s0
/usr/(.*/)?bin(/.*)?	system_u:object_r:bin_t:s0
/usr/bin/mount.*	--	system_u:object_r:mount_exec_t:s0
/usr/bin/sudo\(8\)	--	system_u:object_r:sudo_t:s0
/usr/lib/libc\.so	--	system_u:object_r:lib_t:s0
/proc	-d	<<none>>
/proc/.*	<<none>>
/var/run/.*	system_u:object_r:var_run_t:s0
/etc	-d	system_u:object_r:etc_t:s0
/etc/.*	system_u:object_r:etc_t:s0
/etc/shadow.*	--	system_u:object_r:shadow_t:s0
/lost\+found	-d	system_u:object_r:lost_found_t:s0
"""
HOMES = "/home/[^/]+\t-d\tunconfined_u:object_r:user_home_dir_t:s0\n"
LOCAL = "/etc/own\t--\tsystem_u:object_r:own_t:s0\n"
SUBSTITUTIONS = "/run /var/run\n/usr/sbin /usr/bin\n"

FILE, FOLDER, LINK = stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755, stat.S_IFLNK | 0o777
LABELS = {
    "/": (FOLDER, "root_t"),
    "/odd": (FOLDER, "default_t"),
    "/file": (FILE, "etc_runtime_t"),
    "/usr/share/x": (FILE, "usr_t"),
    "/usr/bin": (FOLDER, "bin_t"),
    "/usr/local/bin/x": (FILE, "bin_t"),
    "/usr/bin/mount.nfs": (FILE, "mount_exec_t"),
    "/usr/bin/mount": (LINK, "bin_t"),
    "/usr/sbin/mount": (FILE, "mount_exec_t"),
    "/usr/bin/sudo(8)": (FILE, "sudo_t"),
    "/usr/lib/libc.so": (FILE, "lib_t"),
    "/usr/lib/libcxso": (FILE, "usr_t"),
    "/proc": (FOLDER, None),
    "/proc/1": (FOLDER, None),
    "/run/x": (FILE, "var_run_t"),
    "/runner": (FILE, "etc_runtime_t"),
    "/etc/shadow-": (FILE, "shadow_t"),
    "/etc/own": (FILE, "own_t"),
    "/home/a": (FOLDER, "user_home_dir_t"),
    "/home/a/b": (FILE, "default_t"),
    "/lost+found": (FOLDER, "lost_found_t"),
}


@pytest.mark.parametrize(("path", "case"), LABELS.items(), ids=LABELS)
def test_path_gets_the_label_of_the_last_line_that_matches(path: str, case: tuple[int, str | None]) -> None:
    found = FileContexts([POLICY, HOMES, LOCAL], [SUBSTITUTIONS]).lookup(path, case[0])

    assert (found.split(":")[2] if found else None) == case[1]


@pytest.mark.skipif(shutil.which("matchpathcon") is None, reason="an outside check: selinux-utils")
def test_libselinux_says_the_same(tmp_path: Path) -> None:
    for suffix, text in (("", POLICY), (".homedirs", HOMES), (".local", LOCAL), (".subs", SUBSTITUTIONS)):
        (tmp_path / f"file_contexts{suffix}").write_text(text)
    kinds = {FILE: "file", FOLDER: "dir", LINK: "symlink"}

    for path, (mode, label) in LABELS.items():
        argv = ["matchpathcon", "-n", "-f", tmp_path / "file_contexts", "-m", kinds[mode], path]
        said = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()
        assert said.split(":")[2:3] == ([label] if label else []), path
