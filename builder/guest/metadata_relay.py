# SPDX-License-Identifier: MIT
"""Join stdin and stdout to a Unix socket: what qemu's guestfwd starts for each connection of the guest.

A program of its own, run as `python3 -I -S metadata_relay.py SOCKET`; it imports nothing of the builder,
so that it starts in some milliseconds.
"""

import select
import socket
import sys


def relay(address: str) -> None:
    """Copy both ways until either side ends."""
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(address)
    ours, theirs = 0, peer.fileno()
    open_ends = {ours, theirs}
    with open(0, "rb", buffering=0) as source, open(1, "wb", buffering=0) as sink:
        while theirs in open_ends:
            ready, _, _ = select.select(list(open_ends), [], [])
            if theirs in ready:
                data = peer.recv(65536)
                if not data:
                    return
                sink.write(data)
            if ours in ready:
                data = source.read(65536)
                if data:
                    peer.sendall(data)
                else:
                    open_ends.discard(ours)
                    peer.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    relay(sys.argv[1])
