# SPDX-License-Identifier: MIT
"""With the host's network a script has its addresses, and no abstract socket that listens for the user."""

from __future__ import annotations

import ctypes
import os
import socket

import pytest

from tests.security.conftest import Host
from tests.support.imaging import kickstart

pytestmark = pytest.mark.root
SCRIPT = """\
%post --nochroot --interpreter=/usr/bin/python3
import socket
own = socket.socket(socket.AF_UNIX)
own.bind("\\0own")
own.listen()
socket.socket(socket.AF_UNIX).connect("\\0own")
open("/mnt/sysimage/own", "w").write("reached")
socket.socket(socket.AF_UNIX).connect("\\0{name}")
%end
"""


@pytest.mark.skipif(
    ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1) < 6, reason="needs Landlock of Linux 6.12"
)
def test_a_script_with_network_reaches_no_abstract_socket_of_the_host(host: Host) -> None:
    name = f"canary-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        listener.settimeout(0.1)

        host.build(kickstart(tail=SCRIPT.format(name=name)), "--network")

        with pytest.raises(TimeoutError):
            listener.accept()
    assert host.bench.look().text("/own") == "reached"
