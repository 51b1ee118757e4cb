# SPDX-License-Identifier: MIT
"""A stand-in for a Koji hub: not Koji, but real HTTP and real XML-RPC under the real client library.

It keeps sessions with their call numbers as the hub does (auth.py: a call number seen before is a
RetryError), stores uploads with their adler32, and runs tasks by a script: each poll moves them on.
"""

from __future__ import annotations

import base64
import hashlib
import time
import urllib.parse
import xmlrpc.client
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.koji.front import AUTH, GENERIC, RETRY, Front, split_parameters

USER, PASSWORD = "packager", "not-for-the-log"
FREE, OPEN, CLOSED, CANCELED, ASSIGNED, FAILED = range(6)


@dataclass
class StandInTask:
    """A task and the states that it goes through, one a poll of it."""

    id: int
    method: str
    request: list[Any]
    states: list[int]
    parent: int | None = None
    arch: str = "noarch"
    host_id: int | None = None
    created: float = field(default_factory=time.time)
    outputs: dict[str, bytes] = field(default_factory=dict)
    fault: str = "the build failed"

    @property
    def state(self) -> int:
        return self.states[0]

    def row(self) -> dict[str, Any]:
        """Return it as getTaskInfo does."""
        return {
            "id": self.id, "method": self.method, "state": self.state, "arch": self.arch,
            "host_id": self.host_id, "parent": self.parent, "request": self.request, "label": None,
            "create_ts": self.created, "start_ts": None if self.state == FREE else self.created,
            "completion_ts": self.created + 61 if self.state in (CLOSED, CANCELED, FAILED) else None,
            "owner": 7,
        }  # fmt: skip


class StandInHub(Front):
    """The hub's state and its methods."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.sessions: dict[int, int] = {}
        self.tasks: dict[int, StandInTask] = {}
        self.builds: dict[int, dict[str, Any]] = {}
        self.reserved: dict[int, str] = {}
        self.targets = {
            "epel9-candidate": {
                "id": 1, "name": "epel9-candidate", "build_tag": 10, "build_tag_name": "epel9-build",
                "dest_tag": 11, "dest_tag_name": "epel9-testing",
            }
        }  # fmt: skip
        self.tags = {11: {"id": 11, "name": "epel9-testing", "locked": False}}
        self.tag_extra: dict[str, Any] = {}
        self.inheritance = [{"parent_id": 11}]
        self.repositories: list[set[str]] = []
        self.methods = ["build", "buildImageOz", "CGImport", "repo.request"]
        self.repository_fails = False
        self.script: Callable[[StandInHub, StandInTask], None] = build_succeeds
        self.image_script: Callable[[StandInHub, StandInTask], None] = lambda _hub, _task: None
        self.next_id = 100

    # -- what the tests ask --------------------------------------------------------------------

    def uploaded(self, path: str) -> bytes:
        """Return an uploaded file."""
        return (self.folder / path).read_bytes()

    def add_task(self, method: str, request: list[Any], states: list[int], **more: Any) -> StandInTask:
        """Make a task."""
        self.next_id += 1
        task = StandInTask(id=self.next_id, method=method, request=request, states=states, **more)
        self.tasks[task.id] = task
        return task

    # -- the API -------------------------------------------------------------------------------

    def login(self, user: str, password: str, **_options: Any) -> dict[str, Any]:
        if (user, password) != (USER, PASSWORD):
            raise xmlrpc.client.Fault(AUTH, "invalid username or password")
        return self._new_session()

    def sslLogin(self, **_options: Any) -> dict[str, Any]:
        """Log in whom a certificate or a ticket names, as the hub's auth.py does."""
        if self.client is None:
            raise xmlrpc.client.Fault(AUTH, "could not verify client: NONE")
        if self.client.partition("@")[0] != USER:
            raise xmlrpc.client.Fault(AUTH, f"Unknown user: {self.client}")
        return self._new_session()

    def _new_session(self) -> dict[str, Any]:
        number = len(self.sessions) + 1
        self.sessions[number] = -1
        return {"session-id": number, "session-key": f"key-{number}", "header-auth": True}

    def logout(self, session_id: int | None = None) -> None:
        del session_id

    def getAPIVersion(self) -> int:
        return 1

    def getLoggedInUser(self) -> dict[str, Any]:
        return {"id": 7, "name": USER}

    def getBuildTarget(self, name: str) -> Any:
        return self.targets.get(name)

    def getBuildConfig(self, tag: int) -> dict[str, Any]:
        return {"id": tag, "name": "epel9-build", "extra": self.tag_extra}

    def getTag(self, number: int) -> Any:
        return self.tags.get(number)

    def getFullInheritance(self, tag: int) -> Any:
        del tag
        return self.inheritance

    def getHost(self, number: int) -> dict[str, Any]:
        return {"id": number, "name": f"builder{number}.example.org"}

    def checkUpload(self, path: str, name: str, verify: str | None = None) -> Any:
        file = self.folder / path / name
        if not file.exists():
            return None
        data = file.read_bytes()
        answer: dict[str, Any] = {"size": len(data)}
        if verify:
            answer["hexdigest"] = f"{zlib.adler32(data):08x}"
        return answer

    def build(self, source: str, target: str, options: dict[str, Any], priority: Any = None) -> int:
        del priority
        if "://" not in source and not (self.folder / source).is_file():
            raise xmlrpc.client.Fault(GENERIC, f"no such file: {source}")
        task = self.add_task("build", [source, target, options], [FREE])
        self.script(self, task)
        return task.id

    def buildImageOz(self, *arguments: Any) -> int:
        task = self.add_task("image", list(arguments[:6]), [FREE, OPEN, CLOSED])
        self.image_script(self, task)
        return task.id

    def listTasks(self, options: dict[str, Any], query: Any = None) -> list[dict[str, Any]]:
        del query
        return [
            task.row()
            for task in self.tasks.values()
            if task.method == options["method"] and task.created > options["createdAfter"]
        ]

    def getTaskInfo(self, number: int, request: bool = False, strict: bool = False) -> Any:
        del request
        if number not in self.tasks:
            if strict:
                raise xmlrpc.client.Fault(GENERIC, "query returned no rows")
            return None
        task = self.tasks[number]
        for one in self.tasks.values():
            if one is task or one.parent == number:
                one.states[: len(one.states) - 1 and 1] = []
        return task.row()

    def getTaskDescendents(self, number: int, request: bool = False) -> dict[str, Any]:
        del request
        children = [task for task in self.tasks.values() if task.parent == number]
        found = {str(number): [task.row() for task in children]}
        for task in children:
            found |= self.getTaskDescendents(task.id)
        return found

    def getTaskResult(self, number: int, raise_fault: bool = True) -> Any:
        task = self.tasks[number]
        if task.state != FAILED:
            return {}
        if raise_fault:
            raise xmlrpc.client.Fault(GENERIC, task.fault)
        return {"faultCode": GENERIC, "faultString": task.fault}

    def listTaskOutput(self, number: int, stat: bool = False) -> Any:
        outputs = self.tasks[number].outputs
        return {name: {"st_size": str(len(data))} for name, data in outputs.items()} if stat else [*outputs]

    def downloadTaskOutput(self, number: int, name: str, offset: int = 0, size: int = -1) -> str:
        data = self.tasks[number].outputs[name]
        piece = data[offset:] if size < 0 else data[offset : offset + size]
        return base64.b64encode(piece).decode()

    def listBuilds(self, taskID: int) -> list[dict[str, Any]]:
        return [build for build in self.builds.values() if build.get("task_id") == taskID]

    def getBuild(self, wanted: Any) -> Any:
        for build in self.builds.values():
            if wanted in (build["build_id"], build["nvr"]) or (
                isinstance(wanted, dict)
                and all(build[word] == wanted[word] for word in ("name", "version", "release"))
            ):
                return build
        return None

    def listBuildRPMs(self, number: int) -> Any:
        return self.builds[number]["rpms"]

    def getBuildLogs(self, number: int) -> Any:
        return self.builds[number]["logs"]

    def listArchives(self, buildID: int, type: str) -> list[dict[str, Any]]:
        del type
        archives: list[dict[str, Any]] = self.builds[buildID].get("archives", [])
        return archives

    def queryRPMSigs(self, rpm_id: int) -> list[dict[str, Any]]:
        return [
            {"rpm_id": rpm_id, "sigkey": key, "sighash": sighash}
            for build in self.builds.values()
            for rpm in build["rpms"]
            if rpm["id"] == rpm_id
            for key, sighash in rpm["keys"].items()
        ]

    def getRepo(self, tag: int) -> Any:
        del tag
        if len(self.repositories) > 1:
            self.repositories.pop(0)
        return {"create_event": 1} if self.repositories else None

    def repo_request(self, tag: int, min_event: Any = None) -> dict[str, Any]:
        del tag, min_event
        return {
            "repo": None,
            "request": {"id": 1, "tag_name": "epel9-build", "active": True, "task_id": None},
        }

    def repo_checkRequest(self, number: int) -> dict[str, Any]:
        row = {"id": number, "tag_name": "epel9-build", "active": not self.repository_fails, "task_id": 77}
        return {"repo": None if self.repository_fails else self.getRepo(10), "request": row}

    def listTagged(self, tag: int, event: int | None, package: str, inherit: bool) -> Any:
        """Return what is tagged now, or what the repository of an event holds."""
        del tag, inherit
        return [
            build
            for build in self.builds.values()
            if build["name"] == package and (event is None or build["nvr"] in self.repositories[0])
        ]

    def listMethods(self) -> list[str]:
        return self.methods

    def CGInitBuild(self, generator: str, data: dict[str, Any]) -> dict[str, Any]:
        del generator
        number = 500 + len(self.builds)
        self.builds[number] = data | {
            "build_id": number, "state": 0, "nvr": f"{data['name']}-{data['version']}-{data['release']}",
            "rpms": [], "logs": [], "volume_name": "DEFAULT", "draft": False,
        }  # fmt: skip
        self.reserved[number] = "token"
        return {"build_id": number, "token": "token"}

    def getArchiveTypes(self) -> list[dict[str, Any]]:
        return [{"name": "qcow2", "extensions": "qcow2"}, {"name": "vmdk", "extensions": "vmdk"}]

    def CGImport(self, metadata: dict[str, Any], folder: str, token: str) -> Any:
        number = metadata["build"]["build_id"]
        if self.reserved.get(number) != token:
            raise xmlrpc.client.Fault(GENERIC, "Token doesn't match build ID")
        for output in metadata["output"]:
            data = self.uploaded(f"{folder}/{output['filename']}")
            if len(data) != output["filesize"]:
                raise xmlrpc.client.Fault(GENERIC, "File size doesn't match. Corrupted upload?")
            self._store(self.builds[number], output, data)
        del self.reserved[number]
        self.builds[number]["state"] = 1
        return self.builds[number]

    def _store(self, build: dict[str, Any], output: dict[str, Any], data: bytes) -> None:
        """Put a file where the file server has it (koji.PathInfo), images as archives."""
        name, folder = output["filename"], f"packages/{build['name']}/{build['version']}/{build['release']}"
        place = f"{folder}/images/{name}" if output["type"] == "image" else f"{folder}/data/logs/{name}"
        path = self.folder / "kojifiles" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if output["type"] == "image":
            row = {"filename": name, "size": len(data), "checksum_type": 2, "checksum": output["checksum"]}
            build.setdefault("archives", []).append(row)
        else:
            build["logs"].append({"name": name, "dir": ".", "path": place})

    def CGRefundBuild(self, generator: str, number: int, token: str) -> None:
        del generator, token
        del self.reserved[number]
        self.builds[number]["state"] = 3

    def multiCall(self, calls: list[dict[str, Any]]) -> list[Any]:
        answers: list[Any] = []
        for call in calls:
            try:
                answers.append([self.dispatch(call["methodName"], call["params"])])
            except xmlrpc.client.Fault as fault:
                answers.append(
                    {"faultCode": fault.faultCode, "faultString": fault.faultString, "traceback": ""}
                )
        return answers

    # -- the wire ------------------------------------------------------------------------------

    def call(self, method: str, parameters: Any, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Check the session, and answer."""
        del body
        self._check_session(headers)
        answer = self.dispatch(method, parameters)
        return xmlrpc.client.dumps((answer,), methodresponse=True, allow_none=True).encode()

    def dispatch(self, method: str, parameters: Any) -> Any:
        """Call a method; a dot in its name is an underscore in ours."""
        arguments, named = split_parameters(parameters)
        function = getattr(self, method.removeprefix("system.").replace(".", "_"), None)
        if function is None:
            raise xmlrpc.client.Fault(GENERIC, f"Invalid method: {method}")
        return function(*arguments, **named)

    def _check_session(self, headers: Mapping[str, str]) -> None:
        number = headers.get("Koji-Session-Id")
        if number is None:
            return
        callnum = int(headers["Koji-Session-Callnum"])
        if int(number) not in self.sessions:
            raise xmlrpc.client.Fault(AUTH, "Invalid session or bad credentials")
        if callnum <= self.sessions[int(number)]:
            raise xmlrpc.client.Fault(RETRY, f"unable to retry call {callnum}")
        self.sessions[int(number)] = callnum

    def upload(self, query: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Store a chunk (rawUpload)."""
        self._check_session(headers)
        words = urllib.parse.parse_qs(query)
        path = self.folder / words["filepath"][0] / words["filename"][0]
        path.parent.mkdir(parents=True, exist_ok=True)
        offset = int(words["offset"][0])
        data = bytearray(path.read_bytes() if path.exists() and offset else b"")
        data[offset:] = body
        path.write_bytes(data)
        answer = {"size": len(body), "hexdigest": f"{zlib.adler32(data[offset:]):08x}"}
        return xmlrpc.client.dumps((answer,), methodresponse=True).encode()

    def read(self, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Return a file below our folder, from where `Range` says."""
        file = self.folder / path.lstrip("/")
        if not file.is_file():
            return 404, b"not here"
        data = file.read_bytes()
        wanted = headers.get("Range")
        if not wanted or self.harm.get("no ranges"):
            return 200, data
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        return (206 if start < len(data) else 416), data[start:]


def build_succeeds(hub: StandInHub, task: StandInTask) -> None:
    """Script: the build and its children succeed within three polls."""
    task.states = [FREE, OPEN, OPEN, CLOSED]
    hub.add_task("rebuildSRPM", task.request, [OPEN, CLOSED], parent=task.id, host_id=1)
    hub.add_task("buildArch", task.request, [FREE, OPEN, CLOSED], parent=task.id, host_id=2)


def image_is_built(hub: StandInHub, task: StandInTask) -> None:
    """Script: what kojid's image and createImage tasks leave, as a real hub of Koji 1.35 had it.

    A scratch build's files stay with createImage; those of a real one become archives of a build.
    """
    name, version, (arch, *_), *_, options = task.request
    image = f"{name}-{version}-1.{arch}"
    files = {
        f"{image}.qcow2": b"QFI\xfb" + b"image" * 1000,
        f"libvirt-qcow2-{arch}.xml": b"<domain/>",
        f"tdl-{arch}.xml": b"<template/>",
        f"{name}.ks": b"# ours\n",
        f"koji-epel9-build-{task.id}-base.ks": b"# with the hub's repositories\n",
    }
    logs = {f"oz-{arch}.log": b"built\n", f"qemu-img-qcow2-{arch}.log": b"$ qemu-img convert\n"}
    outputs = files | logs if options["scratch"] else {}
    hub.add_task(
        "createImage", [name, version, "1", arch], [FREE, OPEN, CLOSED], parent=task.id, arch=arch,
        host_id=1, outputs=outputs,
    )  # fmt: skip
    if options["scratch"]:
        return
    hub.add_task("tagBuild", [], [OPEN, CLOSED], parent=task.id, host_id=1)
    number = 500 + len(hub.builds)
    build = hub.builds[number] = {
        "build_id": number, "state": 1, "name": name, "version": version, "release": "1",
        "nvr": f"{name}-{version}-1", "task_id": task.id, "rpms": [], "logs": [], "volume_name": "DEFAULT",
        "draft": False,
    }  # fmt: skip
    for file, data in files.items():
        output = {"filename": file, "type": "image", "checksum": hashlib.sha256(data).hexdigest()}
        hub._store(build, output, data)
    for file, data in logs.items():
        hub._store(build, {"filename": file, "type": "log"}, data)
        build["logs"][-1]["dir"] = "image"


def build_fails(hub: StandInHub, task: StandInTask) -> None:
    """Script: the second child fails, as mock reports it; the build fails for it."""
    task.states = [FREE, OPEN, FAILED]
    task.fault = "BuildError: error building package (arch noarch)"
    hub.add_task("rebuildSRPM", task.request, [OPEN, CLOSED], parent=task.id, host_id=1)
    hub.add_task(
        "buildArch", task.request, [OPEN, FAILED], parent=task.id, host_id=2,
        outputs={
            "build.log": b"+ make\nspam.c:3:1: error: unknown type name 'eggs'\nmake: *** [all] Error 1\n"
            b"error: Bad exit status from /var/tmp/rpm-tmp.x (%build)\n",
            "root.log": b"DEBUG util.py:446:  Complete!\n",
        },
        fault="BuildError: error building package (arch noarch), mock exited with status 1",
    )  # fmt: skip
