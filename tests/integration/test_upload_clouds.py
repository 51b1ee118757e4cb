# SPDX-License-Identifier: MIT
"""`upload` to several clouds, with fields as options, by import, into stores, in other formats."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml

from builder import conversion
from builder.report import Report
from builder.runner import Runner
from builder.sizes import MIB
from tests.rig.plane.keystone import request
from tests.rig.plane.plane import CLOUD
from tests.rig.plane.proxy import Fault
from tests.support.uploading import User, make_image, token_of, write_manifest

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img (qemu-utils)")


def only(user: User) -> dict[str, Any]:
    """Return the one image that there is."""
    (image,) = user.images()
    return image


@pytest.fixture
def clouds(user: User) -> Iterator[None]:
    """Clouds `demo` and `south`, projects of the same Glance, and one that nobody answers at."""
    assert user.plane.glance is not None
    auth = user.cloud["auth"]
    admin = user.clouds[CLOUD]
    several = {
        "demo": user.cloud,
        "south": {**admin, "image_endpoint_override": user.plane.glance.url},
        "down": {**user.cloud, "auth": {**auth, "auth_url": "http://127.0.0.1:9/v3"}},
    }
    write = yaml.safe_dump

    def with_all(value: Any, *rest: Any, **options: Any) -> Any:
        return write({"clouds": several} if "clouds" in value else value, *rest, **options)

    with mock.patch.object(yaml, "safe_dump", with_all):
        yield
    port, token = user.plane.glance.port, token_of(user.plane, admin)
    found: Any = request(port, "GET", "/v2/images?name=all", token=token)[2]
    for image in found["images"]:
        request(port, "DELETE", f"/v2/images/{image['id']}", token=token)


@pytest.mark.usefixtures("clouds")
def test_several_clouds_get_the_image_and_one_that_fails_keeps_none_from_it(user: User, image: Path) -> None:
    words = ("--cloud", "demo", "--cloud", "south", "--cloud", "down", "--name", "all", "--retries", "0")

    done = user.upload(image, *words, "--json")

    rows = {row["cloud"]: row for row in json.loads(done.out)}
    assert done.code == 5, done.err
    assert [rows[name]["result"] for name in ("demo", "south", "down")] == ["uploaded", "uploaded", "failed"]
    assert "connection refused" in rows["down"]["error"]
    assert [image["id"] for image in user.images("all")] == [rows["demo"]["image"]["id"]]
    assert rows["south"]["image"]["id"] != rows["demo"]["image"]["id"]
    assert done.err.count("error: cloud down") == 1


@pytest.mark.usefixtures("clouds")
def test_unknown_cloud_among_several_is_refused_before_anything_is_sent(user: User, image: Path) -> None:
    done = user.upload(image, "--cloud", "demo", "--cloud", "nort")

    assert done.code == 2
    assert user.proxy.methods() == []


def test_fields_are_set_by_options(user: User, image: Path) -> None:
    done = user.upload(
        image, "--min-disk", "7", "--min-ram", "1024", "--tag", "gold", "--tag", "web", "--hidden",
        "--visibility", "private",
    )  # fmt: skip
    again = user.upload(image, "--hidden")

    assert done.code == 0, done.err
    assert user.images() == []
    shown: Any = user.upload(image, "--hidden", "--dry-run", "--json")
    assert json.loads(shown.out)["image"]["id"] == done.out.strip() == again.out.strip()


def test_protected_and_shared_image(user: User, image: Path) -> None:
    done = user.upload(image, "--protected", "--member", "f" * 32)

    there = only(user)
    assert done.code == 0, done.err
    assert (there["protected"], there["visibility"]) == (True, "shared")
    assert user.plane.glance is not None
    path = f"/v2/images/{there['id']}"
    members: Any = request(user.plane.glance.port, "GET", f"{path}/members", token=user._auth())[2]
    assert [member["member_id"] for member in members["members"]] == ["f" * 32]
    request(user.plane.glance.port, "PATCH", path, token=user._auth(),
            body=[{"op": "replace", "path": "/protected", "value": False}],
            content_type="application/openstack-images-v2.1-json-patch")  # fmt: skip


@pytest.mark.parametrize("disk_format", ["raw", "vmdk"])
def test_image_is_converted_on_the_way_and_what_is_sent_is_compared(
    user: User, image: Path, disk_format: str
) -> None:
    write_manifest(image)

    done = user.upload(image, "--disk-format", disk_format)
    again = user.upload(image, "--disk-format", disk_format)

    there = only(user)
    assert done.code == 0, done.err
    assert (there["disk_format"], there["name"], there["os_distro"]) == (disk_format, "jeos", "fixture")
    assert "sha512 equal" in done.err
    if disk_format == "raw":
        raw = image.with_suffix(".expected")
        subprocess.run(["qemu-img", "convert", "-O", "raw", image, raw], check=True)
        assert there["os_hash_value"] == hashlib.sha512(raw.read_bytes()).hexdigest()
    assert "already there" in again.err
    assert again.out == done.out
    assert [path.name for path in image.parent.glob(".openstack-builder-*")] == []


@pytest.mark.parametrize("disk_format", ["raw", "vmdk", "vhd", "vhdx", "vdi"])
def test_a_file_of_another_format_is_uploaded_as_it_is(user: User, image: Path, disk_format: str) -> None:
    disk = image.with_suffix(".img")
    disk.write_bytes(bytes(4 * MIB))
    subprocess.run(["sfdisk", "-q", disk], input=b"label: dos\n,,L\n", check=True)
    path = image.with_suffix(f".{disk_format}")
    conversion.convert(disk, "raw", path, disk_format, seed="s", epoch=0, runner=Runner(Report(quiet=True)))

    done = user.upload(path)

    assert done.code == 0, done.err
    there = only(user)
    assert (there["disk_format"], there["name"]) == (disk_format, "jeos")
    assert there["os_hash_value"] == hashlib.sha512(path.read_bytes()).hexdigest()


def test_import_of_what_was_staged(user: User, image: Path) -> None:
    done = user.upload(image, "--import", "glance-direct")

    assert done.code == 0, done.err
    assert "sha512 equal" in done.err
    assert only(user)["status"] == "active"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The address of a web server for the files of the folder."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_import_from_the_web_is_compared_with_the_file(user: User, image: Path, web: str) -> None:
    words = ("--import", "web-download", "--uri", f"{web}/{image.name}")

    done = user.upload(image, *words)
    again = user.upload(image, *words)

    assert done.code == 0, done.err
    assert "sha512 equal" in done.err
    assert user.proxy.bytes_of("PUT") == 0
    assert only(user)["status"] == "active"
    assert "already there" in again.err


@pytest.mark.parametrize("there", ["other bytes", "nothing"])
def test_import_of_something_else_from_the_web_leaves_nothing(
    user: User, image: Path, web: str, there: str
) -> None:
    if there == "other bytes":
        make_image(image.with_name("other.qcow2"))

    done = user.upload(image, "--import", "web-download", "--uri", f"{web}/other.qcow2", "--wait", "600")

    assert done.code == 5, done.err
    assert user.images() == []


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (("--store", "nowhere"), "--store nowhere: not there", "it has: fs, second"),
        (("--import", "web-download"), "--import web-download and --uri URL go together", ""),
        (("--uri", "http://x/y"), "--import web-download and --uri URL go together", ""),
        (("--member", "p", "--visibility", "private"), "--member shares an image", ""),
        (("--rotate", "2", "--hidden"), "--rotate and --hidden", ""),
        (("--rotate", "-1"), "--rotate -1: not a number from 0", ""),
        (("--min-disk", "x"), "--min-disk x: not a number", ""),
        (("--property", "min_disk=3"), "min_disk is a field of the image", "use --min-disk"),
    ],
)
def test_options_that_cannot_be_met_are_refused(
    user: User, image: Path, words: tuple[str, ...], said: str, hint: str
) -> None:
    done = user.upload(image, *words)

    assert done.code == 2, done.err
    assert said in done.err
    assert hint in done.err
    assert user.images() == []


@pytest.mark.parametrize("words", [(), ("--import", "glance-direct")], ids=["put", "import"])
def test_store_is_chosen(user: User, image: Path, words: tuple[str, ...]) -> None:
    done = user.upload(image, "--store", "second", *words)

    assert done.code == 0, done.err
    there = only(user)
    assert there["stores"] == "second"
    assert user.plane.glance is not None
    assert [path.name for path in user.plane.glance.folder.glob("second/*")] == [there["id"]]


@pytest.fixture
def definitions(user: User) -> Iterator[None]:
    """What the administrator of the cloud says about properties of images."""
    assert user.plane.glance is not None
    port, token = user.plane.glance.port, token_of(user.plane, user.clouds[CLOUD])
    values = ["fedora", "centos"]
    namespace = {
        "namespace": "OS::Test",
        "visibility": "public",
        "resource_type_associations": [{"name": "OS::Glance::Image"}],
        "properties": {"os_distro": {"title": "Distribution", "type": "string", "enum": values}},
    }
    assert request(port, "POST", "/v2/metadefs/namespaces", token=token, body=namespace)[0] == 201
    yield
    assert request(port, "DELETE", "/v2/metadefs/namespaces/OS::Test", token=token)[0] == 204


@pytest.mark.usefixtures("definitions")
def test_properties_are_held_against_the_definitions_of_the_cloud(user: User, image: Path) -> None:
    write_manifest(image)

    refused = user.upload(image, "--property", "os_distro=fedroa")
    warned = user.upload(image, "--dry-run")
    forced = user.upload(image, "--property", "os_distro=fedroa", "--no-check-properties")

    assert refused.code == 2
    assert "--property os_distro=fedroa: the cloud takes one of fedora, centos" in refused.err
    assert "did you mean fedora?" in refused.err
    assert warned.code == 0
    assert "warning: property os_distro=fixture: the cloud takes one of" in warned.err
    assert forced.code == 0, forced.err


def test_other_bytes_of_the_name_and_hidden_ones_are_named(user: User, image: Path) -> None:
    first = user.upload(image).out.strip()
    other = user.upload(make_image(image, mebibytes=1))
    hidden = make_image(image.with_name("hidden.qcow2"), mebibytes=1)
    third = user.upload(hidden, "--hidden").out.strip()
    shown = user.upload(hidden)

    assert f"the name jeos is also used by images with other bytes: {first}" in other.err
    assert f"image {third} has these bytes and is hidden" in shown.err
    assert shown.code == 0


def test_waiting_for_the_cloud_is_reported_and_ends(user: User, image: Path) -> None:
    from tests.support.uploading import rewriting

    fault = Fault(method="GET", path=r"/v2/images/[0-9a-f-]{36}$", rewrite=rewriting(status="saving"))
    user.proxy.faults.append(fault)

    done = user.upload(image, "--wait", "2", "--retries", "0")

    assert done.code == 5, done.err
    assert "is saving after the upload" in done.err
    assert "--wait SECONDS waits longer than 2 s" in done.err
