# SPDX-License-Identifier: MIT
"""Keys of packagers, by the real gpg: which is chosen, what is refused; their agent is left alone."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.errors import InputError
from builder.report import Report
from builder.rpm.repository.keyring import Keyring
from builder.rpm.repository.keys import Key, objections
from builder.rpm.repository.sign import check_key, find_key, sign_detached
from builder.runner import Runner
from builder.targets import find_target

pytestmark = pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed")


class Home:
    """A folder of gpg, whose agent ends with the test."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True)
        self.folder = folder

    def gpg(self, *words: str, input: str | None = None) -> str:
        argv = ["gpg", "--homedir", str(self.folder), "--batch", "--quiet", "--no-tty", *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True, input=input).stdout

    def make(self, name: str, kind: str = "rsa2048", usage: str = "sign", *, passphrase: str = "",
             expires: str = "never", now: str | None = None) -> str:  # fmt: skip
        """Make a key; return its fingerprint."""
        clock = ["--faked-system-time", now] if now else []
        self.gpg(*clock, "--pinentry-mode", "loopback", "--passphrase", passphrase, "--quick-generate-key",
                 name, kind, usage, expires)  # fmt: skip
        rows = self.gpg("--with-colons", "--list-keys", f"={name}").splitlines()
        return next(row.split(":")[9] for row in rows if row.startswith("fpr"))

    def agent(self) -> str:
        """Return the process id of the agent; empty when none runs."""
        argv = ["gpg-connect-agent", "--no-autostart", "--homedir", str(self.folder), "GETINFO pid", "/bye"]
        said = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
        return next((line[2:] for line in said.splitlines() if line.startswith("D ")), "")

    def stop(self) -> None:
        subprocess.run(["gpgconf", "--homedir", self.folder, "--kill", "gpg-agent"], check=False)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "gpg")
    yield home
    home.stop()


@pytest.fixture
def runner() -> Runner:
    return Runner(Report())


def test_passphrase_in_the_running_agent_is_used_and_the_agent_lives_on(
    home: Home, tmp_path: Path, runner: Runner
) -> None:
    home.make("locked", passphrase="secret")
    (tmp_path / "first").write_text("x")
    home.gpg(
        "--pinentry-mode", "loopback", "--passphrase", "secret", "--detach-sign", str(tmp_path / "first")
    )
    agent = home.agent()
    assert agent

    key = find_key("=locked", home=home.folder, runner=runner)
    (tmp_path / "file").write_text("y")
    sign_detached(tmp_path / "file", key)

    assert home.agent() == agent
    home.gpg("--verify", str(tmp_path / "file.asc"), str(tmp_path / "file"))


def test_agent_that_was_started_for_us_is_gone_afterwards(home: Home, tmp_path: Path, runner: Runner) -> None:
    home.make("mine")
    home.stop()
    (tmp_path / "file").write_text("y")

    sign_detached(tmp_path / "file", find_key("=mine", home=home.folder, runner=runner))

    assert home.agent() == ""


def test_folder_of_the_environment_is_used(
    home: Home, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerprint = home.make("mine")
    monkeypatch.setenv("GNUPGHOME", str(home.folder))

    assert find_key("=mine", home=None, runner=runner).fingerprint == fingerprint


def test_folder_with_a_long_name_is_used(tmp_path: Path, runner: Runner) -> None:
    home = Home(tmp_path / "short")
    fingerprint = home.make("mine")
    home.stop()
    long = tmp_path / ("d" * 100) / "gpg"
    long.parent.mkdir()
    home.folder.rename(long)
    (tmp_path / "file").write_text("y")

    key = find_key("=mine", home=long, runner=runner)
    sign_detached(tmp_path / "file", key)

    assert key.fingerprint == fingerprint
    assert (tmp_path / "file.asc").exists()


def test_key_that_can_sign_is_chosen_among_those_of_a_name(home: Home, runner: Runner) -> None:
    home.make("old <me@example.org>", expires="1d", now="20200101T000000")
    home.make("other <me@example.org>", usage="cert")
    good = home.make("good <me@example.org>")

    assert find_key("me@example.org", home=home.folder, runner=runner).fingerprint == good


@pytest.mark.parametrize(
    ("kind", "usage", "expires", "now", "said"),
    [
        ("rsa2048", "sign", "1d", "20200101T000000", "has expired (2020-01-02)"),
        ("rsa2048", "cert", "never", None, "is not for signing"),
    ],
    ids=["expired", "not for signing"],
)
def test_key_that_cannot_sign_is_refused_with_the_reason(
    home: Home, runner: Runner, kind: str, usage: str, expires: str, now: str | None, said: str
) -> None:
    fingerprint = home.make("mine", kind, usage, expires=expires, now=now)

    with pytest.raises(InputError) as caught:
        find_key("=mine", home=home.folder, runner=runner)

    assert f"key {fingerprint} {said}" in "\n".join(caught.value.lines())


def test_revoked_key_is_refused(home: Home, runner: Runner) -> None:
    fingerprint = home.make("mine")
    text = (home.folder / "openpgp-revocs.d" / f"{fingerprint}.rev").read_text()
    home.gpg("--import", input=text[text.index(":-----BEGIN") + 1 :])

    with pytest.raises(InputError) as caught:
        find_key("=mine", home=home.folder, runner=runner)

    assert "is revoked" in "\n".join(caught.value.lines())


def test_signing_subkey_is_taken_where_the_primary_key_only_certifies(home: Home, runner: Runner) -> None:
    primary = home.make("mine", usage="cert")
    home.gpg("--passphrase", "", "--pinentry-mode", "loopback", "--quick-add-key", primary, "rsa2048", "sign")

    key = find_key("=mine", home=home.folder, runner=runner)

    assert key.key.is_subkey
    assert key.key.primary == primary
    with pytest.raises(
        InputError, match="epel-7 cannot verify its signatures: it does not support signing subkeys"
    ):
        check_key(key, [find_target("epel-7"), find_target("epel-8")])


def test_name_that_no_key_has_is_reported_with_the_nearest(home: Home, runner: Runner) -> None:
    home.make("packager@example.org")

    with pytest.raises(InputError) as caught:
        find_key("pakager@example.org", home=home.folder, runner=runner)

    assert "did you mean packager@example.org?" in (caught.value.hint or "")


def test_digest_of_the_keys_own_signature_counts(home: Home, runner: Runner) -> None:
    (home.folder / "gpg.conf").write_text("cert-digest-algo SHA1\n")
    home.make("mine")

    key = find_key("=mine", home=home.folder, runner=runner)

    with pytest.raises(InputError, match="policy refuses SHA-1"):
        check_key(key, [find_target("epel-9")])
    check_key(key, [find_target("epel-8")])


def key(algorithm: int, bits: int = 3072, *, fingerprint: str = "A" * 40, primary: str = "") -> Key:
    return Key(fingerprint=fingerprint, primary=primary or fingerprint, algorithm=algorithm, bits=bits,
               validity="u", usage="scSC", expires="", has_secret=True)  # fmt: skip


@pytest.mark.parametrize(
    ("shown", "which", "target", "reason"),
    [
        ("RSA 3072", key(1), "epel-6", None),
        ("RSA 3072", key(1), "fedora-45", None),
        ("RSA 1024", key(1, 1024), "epel-8", None),
        ("RSA 1024", key(1, 1024), "epel-9", "2048 bits"),
        ("Ed25519", key(22, 255), "epel-8", "EdDSA"),
        ("Ed25519", key(22, 255), "epel-9", None),
        ("DSA", key(17, 2048), "epel-6", None),
        ("DSA", key(17, 2048), "fedora-45", "DSA"),
        ("v6", key(1, fingerprint="B" * 64), "epel-10", "version 4"),
        ("v6", key(1, fingerprint="B" * 64), "fedora-45", None),
        ("subkey", key(1, primary="C" * 40), "epel-6", "subkeys"),
        ("subkey", key(1, primary="C" * 40), "epel-8", None),
    ],
)
def test_what_the_rpm_of_a_target_cannot_verify_is_known(
    shown: str, which: Key, target: str, reason: str | None
) -> None:
    found = list(objections(which, find_target(target)))

    assert len(found) == (0 if reason is None else 1), (shown, found)
    assert reason is None or reason in found[0]


def test_no_process_and_no_file_is_left_by_a_look_at_a_folder(tmp_path: Path, runner: Runner) -> None:
    folder = tmp_path / "gpg"
    folder.mkdir(mode=0o700)

    with Keyring(home=folder, runner=runner).opened() as ring:
        assert not ring.has_agent()

    assert os.listdir(folder) == []
