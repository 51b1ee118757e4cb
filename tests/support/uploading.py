# SPDX-License-Identifier: MIT
"""What the tests of `upload` share: small true images, the command as a user starts it, the cloud's side."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml

from builder.__main__ import main
from builder.manifest import as_data, manifest_path
from builder.sizes import MIB
from tests.rig.plane import proxy as proxies
from tests.rig.plane.keystone import request
from tests.rig.plane.plane import DEMO_CLOUD, Plane, client_environment
from tests.rig.plane.proxy import Proxy
from tests.support.manifests import MANIFEST

CHECKOUT = Path(__file__).parents[2]
# Seconds until something counts as hanging, on a machine with much other work.
LONGEST = 600.0
# One for each user of a plane: a token costs Keystone a fifth of a second.
TOKENS: dict[tuple[Path, str], str] = {}


@dataclass(frozen=True, kw_only=True)
class Run:
    """How a command ended."""

    code: int
    out: str
    err: str


class User:
    """A member of a project who uploads through the proxy in front of Glance.

    Every run is checked for the user's password in what it prints.
    """

    def __init__(self, plane: Plane, proxy: Proxy, folder: Path) -> None:
        self.plane = plane
        self.proxy = proxy
        self.folder = folder
        self.clouds = yaml.safe_load(plane.clouds_file.read_text())["clouds"]
        self.cloud: dict[str, Any] = dict(self.clouds[DEMO_CLOUD], image_endpoint_override=proxy.url)
        self.password = self.cloud["auth"]["password"]

    def command(self, *words: str | Path, **changes: Any) -> tuple[list[str], dict[str, str]]:
        """Return argv and environment of `openstack-builder upload WORDS`; `changes` are of the cloud."""
        clouds = self.folder / "clouds.yaml"
        clouds.write_text(yaml.safe_dump({"clouds": {"demo": self.cloud | changes}}))
        argv = [sys.executable, "-m", "builder", "upload", *map(str, words)]
        env = {key: value for key, value in os.environ.items() if not key.startswith("OS_")}
        return argv, env | client_environment(clouds) | {"OS_CLOUD": "demo"}

    def upload(self, *words: str | Path, environment: Mapping[str, str] | None = None, **changes: Any) -> Run:
        """Run it to its end, in this process: a new one would import openstacksdk each time.

        With an `environment`, its variables are in place of the user's clouds.yaml.
        """
        argv, env = self.command(*words, **changes)
        if environment is not None:
            env = {key: value for key, value in env.items() if not key.startswith("OS_")} | dict(environment)
        out, err = io.StringIO(), io.StringIO()
        before = {
            number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        with mock.patch.dict(os.environ, env, clear=True), redirect_stdout(out), redirect_stderr(err):
            code = main(argv[3:])
        for number, handler in before.items():
            signal.signal(number, handler)
        assert self.password not in out.getvalue() + err.getvalue()
        return Run(code=code, out=out.getvalue(), err=err.getvalue())

    @contextmanager
    def uploading(self, *words: str | Path) -> Iterator[subprocess.Popen[str]]:
        """Run it in the background, and wait until the first MiB of the data has gone through the proxy."""
        argv, env = self.command(*words)
        process = subprocess.Popen(
            argv, env=env, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            wait_for(lambda: self.proxy.bytes_of("PUT") >= MIB or process.poll() is not None)
            assert process.poll() is None, process.communicate()
            yield process
        finally:
            process.kill()
            process.communicate()

    def images(self, name: str | None = None) -> list[dict[str, Any]]:
        """Return the project's images as Glance itself lists them, past the proxy."""
        assert self.plane.glance is not None
        found: Any = request(self.plane.glance.port, "GET", "/v2/images?limit=1000", token=self._auth())[2]
        return [image for image in found["images"] if name is None or image["name"] == name]

    def all(self) -> list[dict[str, Any]]:
        """Return every image, hidden ones too, the oldest first (of one second: the hidden one)."""
        assert self.plane.glance is not None
        found = []
        for hidden in ("false", "true"):
            path = f"/v2/images?limit=1000&os_hidden={hidden}"
            answer: Any = request(self.plane.glance.port, "GET", path, token=self._auth())[2]
            found += answer["images"]
        return sorted(found, key=lambda image: (str(image["created_at"]), not image["os_hidden"]))

    def change(self, image: str, **fields: Any) -> None:
        """Set fields of an image, past the proxy."""
        assert self.plane.glance is not None
        body = [{"op": "replace", "path": f"/{name}", "value": value} for name, value in fields.items()]
        status, _, _ = request(
            self.plane.glance.port, "PATCH", f"/v2/images/{image}", token=self._auth(), body=body,
            content_type="application/openstack-images-v2.1-json-patch",
        )  # fmt: skip
        assert status == 200

    def clear(self) -> None:
        """Delete every image that the project owns: the plane has served other tests before."""
        assert self.plane.glance is not None
        for image in self.all():
            if image["protected"]:
                self.change(str(image["id"]), protected=False)
            request(self.plane.glance.port, "DELETE", f"/v2/images/{image['id']}", token=self._auth())

    def _auth(self) -> str:
        return token_of(self.plane, self.cloud)


def token_of(plane: Plane, cloud: Mapping[str, Any]) -> str:
    """Return a token of the user and the project of an entry of clouds.yaml."""
    auth = cloud["auth"]
    key = (plane.folder, str(auth["username"]))
    if key not in TOKENS:
        user = {"name": auth["username"], "domain": {"id": "default"}, "password": auth["password"]}
        scope = {"project": {"name": auth["project_name"], "domain": {"id": "default"}}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        assert plane.keystone is not None
        status, headers, _ = request(plane.keystone.port, "POST", "/v3/auth/tokens", body=body)
        assert status == 201
        TOKENS[key] = headers["x-subject-token"]
    return TOKENS[key]


@pytest.fixture(scope="module")
def proxy(plane: Plane) -> Iterator[Proxy]:
    """A proxy in front of Glance, which counts requests and does harm where a test asks for it."""
    assert plane.glance is not None
    with proxies.in_front_of(plane.glance.port) as running:
        yield running


@contextmanager
def without_images(user: User) -> Iterator[None]:
    """Have no image in the user's project and no fault in the proxy, before and after."""
    user.proxy.reset()
    user.clear()
    yield
    user.proxy.reset()
    user.clear()


@pytest.fixture
def user(plane: Plane, proxy: Proxy, tmp_path: Path) -> Iterator[User]:
    """A user whose project has no images."""
    user = User(plane, proxy, tmp_path)
    with without_images(user):
        yield user


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image that nobody has uploaded before."""
    return make_image(tmp_path / "jeos.qcow2")


def make_image(path: Path, *, mebibytes: int = 3, virtual: str = "1G") -> Path:
    """Make a true qcow2 with so many MiB of data in it that nobody has made before."""
    raw = path.with_suffix(".raw")
    raw.write_bytes(os.urandom(mebibytes * MIB))
    subprocess.run(["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", raw, path], check=True)
    subprocess.run(["qemu-img", "resize", "-q", path, virtual], check=True)
    raw.unlink()
    return path


def write_manifest(image: Path, **changes: Any) -> Path:
    """Write a manifest of format 1 next to the image, true to it but for `changes` of its artifact."""
    data = image.read_bytes()
    artifact = {"path": image.name, "size": len(data)}
    artifact |= {name: hashlib.new(name, data).hexdigest() for name in ("md5", "sha256", "sha512")}
    manifest = as_data(MANIFEST) | {"name": image.stem, "artifact": artifact | changes}
    path = manifest_path(image)
    path.write_text(json.dumps(manifest))
    return path


def rewriting(**changes: Any) -> Callable[[bytes], bytes]:
    """Return a function that changes fields in the JSON of an answer."""

    def rewrite(body: bytes) -> bytes:
        value: Mapping[str, Any] = json.loads(body)
        return json.dumps({**value, **changes}).encode()

    return rewrite


def wait_for(condition: Callable[[], bool], *, seconds: float = LONGEST) -> None:
    """Wait until `condition()`; fail when it never comes."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
