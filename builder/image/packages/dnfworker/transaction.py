# SPDX-License-Identifier: MIT
"""An rpm transaction into a tree: for solvers that do not run one as we want it.

Everything that rpm can check it checks before it writes (lib/transaction.c, rpmtsRun): signatures and digests
as %_pkgverify_level says, conflicts, room. A tree that fails is thrown away.
"""

from __future__ import annotations

import os
import sys

import rpm
import sysusers
from protocol import Stop, refused, say, several

# rpmtag.h: RPMTAG_PAYLOADDIGEST, in rpm 6 RPMTAG_PAYLOADSHA256.
PAYLOAD_SHA256 = 5092
SCRIPTLETS = {
    rpm.RPMTAG_PREIN: "%prein",
    rpm.RPMTAG_POSTIN: "%postin",
    rpm.RPMTAG_PRETRANS: "%pretrans",
    rpm.RPMTAG_POSTTRANS: "%posttrans",
}


class Progress:
    """What rpm reports while it installs; makes users before the package that declares them."""

    def __init__(self, root, total):
        self.root = root
        self.total = total
        self.done = 0
        self.files = {}
        self.failed = []
        self.errors = []

    def __call__(self, reason, amount, total, key, _):
        if reason == rpm.RPMCALLBACK_INST_OPEN_FILE:
            header, path = key
            lines = sysusers.declared_users(provides(header))
            if lines:
                sysusers.make(self.root, lines)
            self.files[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            return self.files[path]
        if reason == rpm.RPMCALLBACK_INST_CLOSE_FILE:
            # Each is opened twice: to be looked at, and to be installed.
            os.close(self.files.pop(key[1]))
        elif reason == rpm.RPMCALLBACK_INST_STOP:
            self.done += 1
            say("progress", what="packages", done=self.done, total=self.total)
        elif reason in (rpm.RPMCALLBACK_UNPACK_ERROR, rpm.RPMCALLBACK_CPIO_ERROR):
            self.failed.append(name_of(key))
            self.error("Error unpacking rpm package %s" % name_of(key))
        elif reason == rpm.RPMCALLBACK_SCRIPT_ERROR:
            # `amount` is the scriptlet, `total` whether it keeps the package from being installed.
            scriptlet = SCRIPTLETS.get(amount, "a trigger or other")
            if total:
                self.failed.append(name_of(key))
            self.error("Error in %s scriptlet in rpm package %s" % (scriptlet, name_of(key)))
        return None

    def error(self, message):
        """Note a problem and report it."""
        self.errors.append(message)
        say("warning", message=message)


def name_of(key):
    """Return the name of a package in a callback: a trigger may come with none."""
    return key[0][rpm.RPMTAG_NAME] if isinstance(key, tuple) else str(key)


def provides(header):
    """Return the capabilities of a package as `name` or `name = version`."""
    for dependency in rpm.ds(header, "provides"):
        version = dependency.EVR()
        yield "%s = %s" % (dependency.N(), version) if version else dependency.N()


def install(request, packages):
    """Install `packages`, in the order given where rpm sees no other.

    Args:
        packages: as of the event `solved`.
    """
    for name, value in request["macros"].items():
        rpm.addMacro(name, value)
    # The users that packages declare are made by sysusers.py, with whatever rpm.
    rpm.delMacro("__systemd_sysusers")
    headers = [(read_header(package["path"]), package["path"]) for package in packages]
    transaction = rpm.TransactionSet(request["root"])
    flags = rpm.RPMTRANS_FLAG_NOPLUGINS
    if not request["docs"]:
        flags |= rpm.RPMTRANS_FLAG_NODOCS
    if all(header[PAYLOAD_SHA256] for header, _ in headers):
        # The signed header holds the SHA-256 of the payload: the digest of each file that comes out of it
        # adds nothing, nor does the MD5 of the whole.
        flags |= rpm.RPMTRANS_FLAG_NOFILEDIGEST
        transaction.setVfyFlags(transaction.getVfyFlags() | rpm.RPMVSF_NOMD5)
    transaction.setFlags(flags)
    transaction.scriptFd = sys.stderr.fileno()
    for header, path in headers:
        transaction.addInstall(header, (header, path), "i")
    transaction.order()
    progress = Progress(request["root"], len(headers))
    problems = transaction.run(progress, "")
    if problems:
        raise refused([problem[0] for problem in problems], progress.errors)
    if progress.failed:
        names = several(sorted(set(progress.failed)), ", ")
        raise Stop("transaction", "not installed: %s" % names, details=progress.errors)
    if progress.done < len(headers):
        raise Stop(
            "transaction", "rpm installed %d of %d packages" % (progress.done, len(headers)), details=[]
        )
    say("installed", errors=progress.errors)


def read_header(path):
    """Return the header of a package; whether it may be installed is for the transaction to say."""
    reader = rpm.TransactionSet()
    reader.setVSFlags(rpm.RPMVSF_MASK_NOSIGNATURES | rpm.RPMVSF_MASK_NODIGESTS)
    with open(path, "rb") as file:
        try:
            return reader.hdrFromFdno(file.fileno())
        except rpm.error as error:
            raise Stop("verify", "%s: %s" % (path, error)) from error
