# SPDX-License-Identifier: MIT
"""A server's certificate that is its own authority."""

from __future__ import annotations

import subprocess
from pathlib import Path


def make_certificate(certificate: Path, key: Path, names: str = "IP:127.0.0.1") -> None:
    """Make a key without a passphrase, and a certificate of 127.0.0.1 signed by it; PEM.

    Args:
        names: subjectAltName, as openssl-x509v3_config(5) has it.

    Raises:
        CalledProcessError: openssl failed.
    """
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    words += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", f"subjectAltName={names}"]
    # Python from 3.13 on trusts no authority without it (RFC 5280, 4.2.1.3).
    words += ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    argv = [*words, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(argv, check=True, capture_output=True)
