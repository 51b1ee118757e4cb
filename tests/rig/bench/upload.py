# SPDX-License-Identifier: MIT
"""`upload` compared with a bare PUT of the same file to the same Glance; `--rotate` on a hundred images.

`python -m tests.rig.bench.upload [--json FILE] [--rounds N] [--size MIB]`. The plane is started first. Each
round sends the file both ways, in turn and in changing order: bare (create the image, PUT in blocks of 1 MiB,
ask until it is active), and by `openstack-builder upload` (the same, and every byte hashed three ways and
compared). Wall seconds are the transfer's, CPU seconds the client's whole process's, its start
included. Quotients are of pairs; the verdict is about their median. Exit 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.rig.bench.measure import processes_below
from tests.rig.plane.keystone import request
from tests.rig.plane.plane import DEMO_CLOUD, Plane, client_environment, private
from tests.support.uploading import CHECKOUT, make_image, token_of, write_manifest

# A verified upload is at least so fast as a bare PUT.
SPEED = 0.95
# Seconds of our own time for a rotation of so many images.
ROTATION, IMAGES = 2.0, 100
BLOCK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What one transfer took: wall seconds, CPU seconds of the client's process, and those of Glance."""

    wall: float
    cpu: float
    glance: float


class Client:
    """A member of a project, who sends in both ways."""

    def __init__(self, plane: Plane, folder: Path) -> None:
        import yaml

        assert plane.glance is not None
        self.port = plane.glance.port
        self.server = plane.glance.server.process.pid
        self.cloud = yaml.safe_load(plane.clouds_file.read_text())["clouds"][DEMO_CLOUD]
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("OS_")}
        self.environment |= client_environment(plane.clouds_file) | {"OS_CLOUD": DEMO_CLOUD}
        self.token = token_of(plane, self.cloud)
        self.folder = folder

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        """Send a small request past all clients; return the decoded answer."""
        status, _, value = request(self.port, method, path, token=self.token, body=body, **headers)
        assert status < 300, (method, path, status)
        return value

    def create(self, name: str, data: bytes, **fields: object) -> str:
        """Make an image of few bytes."""
        image = str(uuid.uuid4())
        described = {"id": image, "name": name, "disk_format": "qcow2", "container_format": "bare", **fields}
        self.ask("POST", "/v2/images", described)
        self.ask("PUT", f"/v2/images/{image}/file", data, content_type="application/octet-stream")
        return image

    def clear(self) -> None:
        """Delete every image of the project."""
        for hidden in ("false", "true"):
            for image in self.ask("GET", f"/v2/images?limit=1000&os_hidden={hidden}")["images"]:
                self.ask("DELETE", f"/v2/images/{image['id']}")

    def bare(self, file: Path) -> Sent:
        """Send `file` with a bare PUT from a process of its own."""
        argv = [sys.executable, "-m", "tests.rig.bench.upload", "--bare", str(file), str(self.port)]
        return self._run(argv, lambda out: float(out))

    def verified(self, file: Path) -> Sent:
        """Send `file` as a user does."""
        argv = [sys.executable, "-m", "builder", "upload", "--json", str(file)]
        return self._run(argv, lambda out: float(json.loads(out)["seconds"]))

    def _run(self, argv: list[str], wall: Any) -> Sent:
        before, glance = resource.getrusage(resource.RUSAGE_CHILDREN), cpu_below(self.server)
        done = subprocess.run(
            argv, env=self.environment | {"BENCH_TOKEN": self.token}, cwd=CHECKOUT, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"error: {' '.join(argv)} ended with {done.returncode}: {done.stderr}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Sent(wall=wall(done.stdout), cpu=cpu, glance=cpu_below(self.server) - glance)


def cpu_below(root: int) -> float:
    """Return the CPU seconds that a process and its children have used."""
    ticks = 0
    for pid in processes_below(root):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def send_bare(file: Path, port: int) -> float:
    """Create an image, PUT the file, ask until it is active; return the seconds."""
    token, image = os.environ["BENCH_TOKEN"], str(uuid.uuid4())
    size = file.stat().st_size
    begun = time.monotonic()
    described = {"id": image, "name": "bare", "disk_format": "qcow2", "container_format": "bare"}
    assert request(port, "POST", "/v2/images", token=token, body=described)[0] == 201
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600, blocksize=BLOCK)
    with file.open("rb") as data:
        headers = {
            "X-Auth-Token": token, "Content-Type": "application/octet-stream", "Content-Length": str(size),
        }  # fmt: skip
        connection.request("PUT", f"/v2/images/{image}/file", data, headers)
        answer = connection.getresponse()
        answer.read()
    assert answer.status == 204, answer.status
    while True:
        there: Any = request(port, "GET", f"/v2/images/{image}", token=token)[2]
        if there["status"] == "active":
            return time.monotonic() - begun
        time.sleep(0.1)


def show(name: str, sent: Sent) -> str:
    """Return what a transfer took, for people."""
    return f"{name} {sent.wall:.2f} s, CPU {sent.cpu:.2f} s + {sent.glance:.2f} s of Glance"


def compare(client: Client, *, rounds: int, size: int) -> dict[str, object]:
    """Send the file both ways, `rounds` times; return what each took and the quotients."""
    pairs: list[dict[str, Sent]] = []
    file = make_image(client.folder / "disk.qcow2", mebibytes=size)
    write_manifest(file)
    for number in range(rounds + 1):
        ways = [("bare", client.bare), ("verified", client.verified)]
        pair = {}
        for name, send in ways if number % 2 else reversed(ways):
            pair[name] = send(file)
            client.clear()
        # The first round warms caches.
        if number:
            pairs.append(pair)
            print(
                f"round {number}:", *(show(name, pair[name]) for name in sorted(pair)), sep="  ", flush=True
            )
    quotients = [pair["bare"].wall / pair["verified"].wall for pair in pairs]
    return {
        "MiB": size,
        "rounds": [{name: vars(sent) for name, sent in pair.items()} for pair in pairs],
        "speed": statistics.median(quotients),
        "CPU": statistics.median(
            (pair["bare"].cpu + pair["bare"].glance) / (pair["verified"].cpu + pair["verified"].glance)
            for pair in pairs
        ),
        "more CPU per GiB": statistics.median(
            (pair["verified"].cpu - pair["bare"].cpu) * 1024 / size for pair in pairs
        ),
    }


def rotate(client: Client) -> dict[str, float]:
    """Rotate where a hundred images bear the name, and keep a few; return our own CPU seconds, and wall."""
    small = make_image(client.folder / "small.qcow2", mebibytes=1).read_bytes()
    for _ in range(IMAGES):
        client.create("web", small)
    file = make_image(client.folder / "web.qcow2", mebibytes=1)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    argv = [sys.executable, "-m", "builder", "upload", "--rotate", "5", "--name", "web", str(file)]
    subprocess.run(argv, env=client.environment, cwd=CHECKOUT, check=True, capture_output=True)
    wall = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, "wall": wall}


def main() -> int:
    """Measure, print, write; return 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the measures there")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="pairs (5)")
    parser.add_argument("--size", type=int, default=256, metavar="MIB", help="of the file (256)")
    parser.add_argument("--bare", nargs=2, metavar=("FILE", "PORT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.bare:
        print(send_bare(Path(args.bare[0]), int(args.bare[1])))
        return 0
    with private() as plane, tempfile.TemporaryDirectory() as folder:
        client = Client(plane, Path(folder))
        speed = compare(client, rounds=args.rounds, size=args.size)
        rotation = rotate(client)
    goals = {"speed": float(str(speed["speed"])) >= SPEED, "rotation": rotation["cpu"] <= ROTATION}
    texts = {
        "speed": f"verified, at least {SPEED:g} of a bare PUT of {args.size} MiB: {speed['speed']:.2f}",
        "rotation": f"rotation of {IMAGES} images, at most {ROTATION:g} s of our own: {rotation['cpu']:.2f} s"
        f" (wall {rotation['wall']:.1f} s)",
    }
    for name, text in texts.items():
        print(f"{text}: {'reached' if goals[name] else 'MISSED'}")
    print(f"CPU of a bare PUT, client and Glance, by that of a verified upload: {speed['CPU']:.2f}")
    print(f"starting, hashing and comparing costs {speed['more CPU per GiB']:.2f} s of CPU a GiB")
    if args.json:
        found = {"measures": {"upload": speed, "rotation": rotation}, "goals": goals}
        args.json.write_text(json.dumps(found, indent=2) + "\n")
    return int(not all(goals.values()))


if __name__ == "__main__":
    sys.exit(main())
