# SPDX-License-Identifier: MIT
"""Bring SQLite databases into the state that an image ships: for `databases`, which runs this in a room.

A program of its own, which imports nothing of the builder:

    python3 -I -S database_program.py EPOCH FILE...

The write-ahead log of each comes into the file: without it the file alone is not whole. In dnf's history no
time is after EPOCH, and no user is of the build's host.
"""

import contextlib
import os
import sqlite3
import sys

# dnf's own record (libdnf, libdnf/transaction/sql/create.sql).
HISTORY = "history.sqlite"
SETTLE = "UPDATE trans SET dt_begin = min(dt_begin, ?1), dt_end = min(dt_end, ?1), user_id = -1"


def main(epoch: str, *files: str) -> None:
    """Do what the command line says."""
    for file in files:
        try:
            with contextlib.closing(sqlite3.connect(file)) as connection:
                # What the database brings along (views, triggers) may call no function with effects.
                connection.execute("PRAGMA trusted_schema=OFF")
                if os.path.basename(file) == HISTORY:
                    connection.execute(SETTLE, (int(epoch),))
                    connection.commit()
                # https://www.sqlite.org/wal.html: leaving WAL mode checkpoints and removes -wal and -shm.
                connection.execute("PRAGMA journal_mode=DELETE").fetchone()
        except sqlite3.Error as error:
            raise SystemExit(f"{file}: {error}") from error


if __name__ == "__main__":
    main(*sys.argv[1:])
