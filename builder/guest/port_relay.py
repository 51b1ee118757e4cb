# SPDX-License-Identifier: MIT
"""Join Unix sockets to a TCP port: the way into a guest whose qemu has no network but its own room's.

A program of its own, which imports nothing of the builder:

    python3 -I -S port_relay.py SOCKET PORT PROGRAM...   in qemu's room: listens on SOCKET, becomes PROGRAM
    python3 -I -S port_relay.py SOCKET                   outside, for ssh: joins stdin and stdout to SOCKET
"""

import os
import select
import socket
import sys
import threading

# Connections at once: we make them, one after the other.
MOST = 32


def join(first: tuple[int, int], second: tuple[int, int]) -> None:
    """Copy both ways between two pairs of descriptors (to read, to write) until either side ends."""
    ways = {first[0]: second[1], second[0]: first[1]}
    while True:
        for source in select.select(list(ways), [], [])[0]:
            data = os.read(source, 65536)
            if not data:
                return
            while data:
                data = data[os.write(ways[source], data) :]


def carry(peer: socket.socket, port: int, free: threading.Semaphore) -> None:
    """Join one connection to the port."""
    try:
        with peer, socket.create_connection(("127.0.0.1", port)) as server:
            join((peer.fileno(), peer.fileno()), (server.fileno(), server.fileno()))
    except OSError:
        pass
    finally:
        free.release()


def listen(listener: socket.socket, port: int) -> None:
    """Join every connection of `listener` to the port, some at once."""
    free = threading.Semaphore(MOST)
    while True:
        free.acquire()
        peer, _ = listener.accept()
        threading.Thread(target=carry, args=(peer, port, free), daemon=True).start()


def main(address: str, *rest: str) -> None:
    """Do what the command line says."""
    if not rest:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(address)
            join((0, 1), (peer.fileno(), peer.fileno()))
        return
    port, *program = rest
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(MOST)
    if os.fork() == 0:
        listen(listener, int(port))
    listener.close()
    os.execvp(program[0], program)


if __name__ == "__main__":
    main(*sys.argv[1:])
