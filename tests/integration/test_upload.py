# SPDX-License-Identifier: MIT
"""`openstack-builder upload` against a real Glance: what is there afterwards, and what is said.

A proxy in front of Glance counts requests and does harm where a test asks for it (tests/rig/plane/proxy.py).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rig.plane import proxy as proxies
from tests.rig.plane.plane import Plane
from tests.rig.plane.proxy import Fault
from tests.support.own_certificate import make_certificate
from tests.support.uploading import LONGEST, MIB, User, make_image, rewriting, wait_for, write_manifest

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img (qemu-utils)")

DATA = r"/file$"
IMAGE = r"/v2/images/[0-9a-f-]{36}$"


def test_image_with_manifest_arrives_with_properties_and_second_run_sends_nothing(
    user: User, image: Path
) -> None:
    write_manifest(image)

    first = user.upload(image, "--property", "os_version=12.1", "--property", "os_type=", "--json")
    second = user.upload(image)

    assert first.code == 0, first.err
    (there,) = user.images()
    assert json.loads(first.out)["image"]["id"] == there["id"] == second.out.strip()
    assert there["status"] == "active"
    assert there["os_hash_value"] == hashlib.sha512(image.read_bytes()).hexdigest()
    wanted = {
        "name": "jeos", "disk_format": "qcow2", "min_disk": 1, "os_distro": "fixture", "os_version": "12.1",
        "architecture": "x86_64", "os_admin_user": "ec2-user",
        "openstack_utils_sha256": hashlib.sha256(image.read_bytes()).hexdigest(),
    }  # fmt: skip
    assert {key: there.get(key) for key in wanted} == wanted
    assert not {"hw_firmware_type", "os_type", "openstack_utils_uploader"} & there.keys()
    assert second.code == 0
    assert "already there" in second.err
    assert "sha512 equal" in second.err
    assert user.proxy.bytes_of("PUT") == image.stat().st_size
    assert user.proxy.methods().count("PUT") == 1


def test_image_without_manifest_is_described_by_its_own_header(user: User, tmp_path: Path) -> None:
    image = make_image(tmp_path / "plain.qcow2", virtual="2049M")

    done = user.upload(image, "--name", "other name", "--visibility", "private")

    assert done.code == 0, done.err
    (there,) = user.images("other name")
    assert (there["min_disk"], there["visibility"]) == (3, "private")
    assert "os_distro" not in there


def test_other_bytes_under_the_same_name_are_another_image(user: User, image: Path) -> None:
    user.upload(image)
    make_image(image)

    done = user.upload(image)

    assert done.code == 0
    assert [there["status"] for there in user.images("jeos")] == ["active", "active"]


def test_dry_run_changes_nothing(user: User, image: Path) -> None:
    done = user.upload(image, "--dry-run", "--json")

    assert done.code == 0
    assert json.loads(done.out)["result"] == "would create and send"
    assert set(user.proxy.methods()) == {"GET"}
    assert user.images() == []


def test_file_that_is_not_what_its_manifest_says_never_becomes_an_image(user: User, image: Path) -> None:
    write_manifest(image)
    data = bytearray(image.read_bytes())
    data[-1] ^= 1
    image.write_bytes(data)

    done = user.upload(image)

    assert done.code == 2
    assert "differs from the manifest's" in done.err
    assert user.images() == []
    # Glance was never given the last of it.
    assert user.proxy.bytes_of("PUT") < image.stat().st_size


def test_changed_file_is_not_taken_for_the_image_of_its_manifest(user: User, image: Path) -> None:
    write_manifest(image)
    assert user.upload(image).code == 0
    data = bytearray(image.read_bytes())
    data[-1] ^= 1
    image.write_bytes(data)

    done = user.upload(image)

    assert done.code == 2
    assert user.proxy.methods().count("PUT") == 1


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param(Fault(method="PUT", path=DATA, alter_at=2 * MIB), "sha512", id="one bit altered"),
        pytest.param(
            Fault(method="GET", path=IMAGE, rewrite=rewriting(os_hash_value="0" * 128)),
            "sha512",
            id="other hash",
        ),
        pytest.param(Fault(method="GET", path=IMAGE, rewrite=rewriting(size=7)), "7 bytes", id="other size"),
        pytest.param(
            Fault(method="GET", path=IMAGE, rewrite=rewriting(os_hash_algo="none", checksum="0" * 32)),
            "md5",
            id="other checksum, hash unknown",
        ),
    ],
)
def test_mismatch_is_deleted_and_exits_5(user: User, image: Path, fault: Fault, said: str) -> None:
    user.proxy.faults.append(fault)

    done = user.upload(image)

    assert done.code == 5, done.err
    assert said in done.err
    assert user.images() == []


def test_image_converted_by_the_cloud_is_kept_and_said_not_to_be_compared(user: User, image: Path) -> None:
    user.proxy.faults.append(
        Fault(method="GET", path=IMAGE, rewrite=rewriting(disk_format="raw", os_hash_value="1" * 128))
    )

    done = user.upload(image)

    assert done.code == 0
    assert "converted by the cloud, not compared" in done.err
    assert len(user.images()) == 1


def test_image_converted_by_the_cloud_is_known_again(user: User, image: Path) -> None:
    assert user.upload(image).code == 0
    (there,) = user.images()
    converted = {**there, "disk_format": "raw", "size": 7, "os_hash_value": "1" * 128}
    user.proxy.faults.append(Fault(method="GET", path=r"/images\?", rewrite=rewriting(images=[converted])))

    done = user.upload(image)

    assert done.code == 0
    assert "converted by the cloud, not compared): nothing sent" in done.err


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(method="PUT", path=DATA, times=1, cut_after=MIB), id="connection cut at 1 MiB"),
        pytest.param(Fault(method="PUT", path=DATA, times=1, status=503), id="503 to the data"),
        pytest.param(Fault(method="POST", path="/images$", times=1, status=502), id="502 to the creation"),
    ],
)
def test_passing_trouble_is_reported_and_overcome(user: User, image: Path, fault: Fault) -> None:
    user.proxy.faults.append(fault)

    done = user.upload(image)

    assert done.code == 0, done.err
    assert "trying again in 1 s (1 of 3)" in done.err
    assert [there["status"] for there in user.images()] == ["active"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param(
            Fault(method="PUT", path=DATA, cut_after=MIB), "given up after 2 tries", id="always cut"
        ),
        pytest.param(Fault(method="PUT", path=DATA, status=500), "given up after 2 tries", id="always 500"),
        pytest.param(
            Fault(method="PUT", path=DATA, status=413, body=b"<h1>413</h1>over quota"),
            "HTTP 413: over quota",
            id="quota",
        ),
        pytest.param(Fault(method="POST", path="/images$", status=403), "HTTP 403", id="forbidden"),
    ],
)
def test_lasting_trouble_exits_5_and_leaves_nothing(user: User, image: Path, fault: Fault, said: str) -> None:
    user.proxy.faults.append(fault)

    done = user.upload(image, "--retries", "1")

    assert done.code == 5
    assert said in done.err
    assert "hint:" in done.err
    assert user.images() == []


def test_image_that_cannot_be_deleted_is_named(user: User, image: Path) -> None:
    user.proxy.faults += [
        Fault(method="PUT", path=DATA, alter_at=MIB),
        Fault(method="DELETE", path=IMAGE, status=403),
    ]

    done = user.upload(image)

    assert done.code == 5
    (left,) = user.images()
    assert f"openstack image delete {left['id']}" in done.err


def test_what_glance_takes_for_no_qcow2_exits_5_and_leaves_nothing(user: User, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.qcow2"
    # A feature that nobody knows.
    features = bytes(40) + (1 << 40).to_bytes(8, "big") + bytes(24)
    header = b"QFI\xfb\0\0\0\3" + bytes(16) + (1 << 30).to_bytes(8, "big") + features
    garbage.write_bytes(header + os.urandom(MIB))

    done = user.upload(garbage)

    assert done.code == 5
    assert "HTTP 415" in done.err
    assert user.images() == []


def test_real_quota_of_glance_is_reported(user: User, image: Path, plane: Plane) -> None:
    assert plane.glance is not None
    write_manifest(image, size=5 << 30)
    os.truncate(image, 5 << 30)

    # Past the proxy: Glance answers before it has read the body.
    done = user.upload(image, image_endpoint_override=plane.glance.url)

    assert done.code == 5
    assert "HTTP 413" in done.err
    assert "exceeds the storage quota" in done.err
    assert user.images() == []


def test_second_upload_is_refused_and_a_killed_one_is_used_again(user: User, tmp_path: Path) -> None:
    # More than the sockets on the way hold, so that the killed one has not sent it all.
    image = make_image(tmp_path / "jeos.qcow2", mebibytes=24)
    write_manifest(image)
    held = Fault(method="PUT", path=DATA, times=1, hold_after=MIB)
    user.proxy.faults.append(held)
    with user.uploading(image) as first:
        second = user.upload(image)
        first.kill()
        first.wait()
    held.released.set()
    wait_for(lambda: user.images()[0]["status"] == "queued")
    (orphan,) = user.images()

    third = user.upload(image)

    assert second.code == 1
    assert f"is being uploaded by process {first.pid} of this machine" in second.err
    assert third.code == 0, third.err
    assert f"using image {orphan['id']} again" in third.err
    (there,) = user.images()
    assert (there["id"], there["status"]) == (orphan["id"], "active")
    assert "openstack_utils_uploader" not in there


def test_killed_upload_that_glance_still_waits_for_is_deleted_and_made_anew(user: User, image: Path) -> None:
    write_manifest(image)
    # The proxy keeps its connection to Glance when its client is killed: the image stays in `saving`.
    user.proxy.faults.append(Fault(method="PUT", path=DATA, times=1, hold_after=MIB))
    with user.uploading(image) as first:
        wait_for(lambda: user.images()[0]["status"] == "saving")
        first.kill()
        first.wait()
    (orphan,) = user.images()

    done = user.upload(image)

    assert done.code == 0, done.err
    assert f"deleting image {orphan['id']}" in done.err
    (there,) = user.images()
    assert there["id"] != orphan["id"]
    assert there["status"] == "active"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_interrupted_upload_leaves_nothing(user: User, tmp_path: Path, number: signal.Signals) -> None:
    image = make_image(tmp_path / "jeos.qcow2", mebibytes=24)
    user.proxy.faults.append(Fault(method="PUT", path=DATA, times=1, hold_after=MIB))
    with user.uploading(image) as upload:
        upload.send_signal(number)
        _, err = upload.communicate(timeout=LONGEST)

    assert upload.returncode == 130
    assert f"interrupted by {number.name}" in err
    assert user.images() == []


@pytest.mark.parametrize(
    ("auth", "code", "said"),
    [
        pytest.param({"password": "wrong"}, 5, "the credentials are refused (HTTP 401)", id="wrong password"),
        pytest.param({"auth_url": "http://127.0.0.1:9/v3"}, 5, "connection refused", id="nobody there"),
        pytest.param({"password": None}, 2, "password", id="incomplete"),
    ],
)
def test_cloud_that_cannot_be_entered_is_one_error_with_a_hint(
    user: User, image: Path, auth: dict[str, str], code: int, said: str
) -> None:
    changed = {key: value for key, value in (user.cloud["auth"] | auth).items() if value is not None}

    done = user.upload(image, auth=changed)

    assert done.code == code, done.err
    lines = done.err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["error", "hint"], done.err
    assert said in lines[0]


def test_credentials_of_the_environment_are_enough(user: User, image: Path, tmp_path: Path) -> None:
    auth = {f"OS_{key.upper()}": value for key, value in user.cloud["auth"].items()}
    (tmp_path / "none.yaml").write_text("clouds: {}\n")
    auth["OS_CLIENT_CONFIG_FILE"] = str(tmp_path / "none.yaml")

    done = user.upload(image, "--dry-run", environment=auth | {"OS_REGION_NAME": "RegionOne"})
    nothing = user.upload(image, environment={"OS_CLIENT_CONFIG_FILE": auth["OS_CLIENT_CONFIG_FILE"]})

    assert done.code == 0, done.err
    assert (nothing.code, nothing.err.splitlines()[0]) == (
        2,
        "error: no credentials: neither a cloud in clouds.yaml nor OS_AUTH_URL",
    )


def test_unknown_cloud_names_the_nearest(user: User, image: Path) -> None:
    done = user.upload(image, "--cloud", "dem")

    assert done.code == 2
    assert "did you mean demo?" in done.err


def test_every_mistake_in_the_options_is_reported_at_once(user: User, image: Path) -> None:
    done = user.upload(image, "--property", "a", "--property", "name=x", "--property", "openstack_utils_x=1")

    assert done.code == 2
    assert done.err.count("error:") == 3
    assert user.proxy.seen == []


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        pytest.param({}, 5, "TLS", id="unknown authority"),
        pytest.param({"cacert": "AUTHORITY"}, 0, "", id="cacert"),
        pytest.param({"verify": False}, 0, "certificates are not checked", id="verify false"),
    ],
)
def test_tls_settings_of_the_cloud_are_honoured(
    user: User,
    plane: Plane,
    image: Path,
    tls: tuple[Path, str],
    options: dict[str, Any],
    code: int,
    said: str,
) -> None:
    authority, url = tls
    if "cacert" in options:
        options = {"cacert": str(authority)}

    done = user.upload(image, "--dry-run", auth=user.cloud["auth"] | {"auth_url": f"{url}/v3"}, **options)

    assert done.code == code, done.err
    assert said in done.err


@pytest.fixture(scope="module")
def tls(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Keystone behind TLS, with a certificate that signs itself: its file, and the address."""
    import ssl

    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    make_certificate(certificate, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    assert plane.keystone is not None
    with proxies.in_front_of(plane.keystone.port, tls=context) as running:
        yield certificate, running.url


def test_password_in_the_address_of_keystone_is_never_shown(user: User, image: Path) -> None:
    address = f"http://joe:{user.password}-too@127.0.0.1:9/v3"

    done = user.upload(image, auth=user.cloud["auth"] | {"auth_url": address})

    assert done.code == 5
    assert "connection refused" in done.err
    assert "-too" not in done.err


def test_credentials_without_a_project_are_refused_with_a_hint(user: User, image: Path) -> None:
    auth = {key: value for key, value in user.cloud["auth"].items() if not key.startswith("project")}

    done = user.upload(image, auth=auth)

    assert done.code == 2, done.err
    assert "name no project" in done.err
    assert "name one: --project" in done.err


def test_dead_proxy_is_named_with_its_variable(
    user: User, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://me:hidden@127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")

    done = user.upload(image, auth=user.cloud["auth"] | {"auth_url": "http://keystone.invalid:5000/v3"})

    assert done.code == 5, done.err
    assert "the proxy http://***@127.0.0.1:9 does not answer: connection refused" in done.err
    assert "the proxy comes from http_proxy" in done.err
    assert "hidden" not in done.err


@pytest.mark.parametrize(
    ("method", "body", "said"),
    [
        pytest.param("GET", b"<html><body>Please log in &amp; try</body></html>", "not one of", id="page"),
        pytest.param("GET", b"[]", "not one of", id="list"),
        pytest.param("GET", b'{"images": [{"id": "x"}]}', "status is missing", id="image without status"),
        pytest.param("GET", b'{"images": 5}', "not one of", id="no list of images"),
        pytest.param("POST", b"<html/>", "not one of", id="page for a new image"),
        pytest.param("POST", b"{}", "id is missing", id="image without id"),
    ],
)
def test_answer_that_is_not_of_the_image_api_is_one_error(
    user: User, image: Path, method: str, body: bytes, said: str
) -> None:
    user.proxy.faults.append(Fault(method=method, path=r"/images", rewrite=lambda _: body))

    done = user.upload(image)

    assert done.code == 5, done.err
    assert said in done.err
    assert "check the image endpoint" in done.err
    assert user.images() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"os_hash_algo": "shake_256", "os_hash_value": "00", "checksum": None},
        {"os_hash_algo": "md17", "os_hash_value": "00", "checksum": None},
        {"os_hash_algo": ["sha512"], "os_hash_value": 5, "checksum": None},
        {"os_hash_algo": None, "os_hash_value": None, "checksum": None, "size": None},
    ],
    ids=["without a length", "unknown", "another shape", "none"],
)
def test_hash_that_nobody_can_compute_keeps_the_image_and_says_so(
    user: User, image: Path, changes: dict[str, Any]
) -> None:
    user.proxy.faults.append(Fault(method="GET", path=IMAGE, rewrite=rewriting(**changes)))

    done = user.upload(image)

    assert done.code == 0, done.err
    assert "not compared" in done.err
    assert [there["status"] for there in user.images()] == ["active"]
