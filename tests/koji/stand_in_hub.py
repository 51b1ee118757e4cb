# SPDX-License-Identifier: MIT
"""A stand-in for a Koji hub: not Koji, but real HTTP and real XML-RPC under the real client library.

It keeps sessions with their call numbers as the hub does (auth.py: a call number seen before is a
RetryError), stores uploads with their adler32, and runs tasks by a script: each poll moves them on. It does
harm where a test asks for it: cut connections before or after a call, faults, offline, forgotten sessions.
"""

from __future__ import annotations

import base64
import http.server
import threading
import time
import urllib.parse
import xmlrpc.client
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

USER, PASSWORD = "packager", "not-for-the-log"
FREE, OPEN, CLOSED, CANCELED, ASSIGNED, FAILED = range(6)
GENERIC, AUTH, NOT_ALLOWED, AUTH_EXPIRED, RETRY, OFFLINE, PARAMETER = 1000, 1002, 1004, 1007, 1009, 1014, 1019


class Cut(Exception):
    """The connection ends without an answer."""


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


class StandInHub:
    """The hub's state and its methods. `harm` maps a method to what happens at its next calls.

    What may happen: "cut before", "cut after", "offline", "expire", or a fault as (code, text).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[tuple[str, list[Any], dict[str, Any]]] = []
        self.requests = 0
        self.harm: dict[str, list[Any]] = {}
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
        self.inheritance = [{"parent_id": 11}]
        self.repositories: list[set[str]] = []
        self.methods = ["build", "buildImageOz", "CGImport"]
        self.script: Callable[[StandInHub, StandInTask], None] = build_succeeds
        self.lock = threading.Lock()
        self.next_id = 100

    # -- what the tests ask --------------------------------------------------------------------

    def called(self, method: str) -> list[list[Any]]:
        """Return the arguments of each call of a method."""
        return [arguments for name, arguments, _ in self.calls if name == method]

    def count(self) -> Counter[str]:
        """Return how often each method was called."""
        return Counter(name for name, _, _ in self.calls)

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
        task = self.add_task("image", list(arguments), [FREE, OPEN, CLOSED])
        return task.id

    def listTasks(self, options: dict[str, Any], query: Any = None) -> list[dict[str, Any]]:
        del query
        return [
            task.row()
            for task in self.tasks.values()
            if task.method == options["method"] and task.created > options["createdAfter"]
        ]

    def getTaskInfo(self, number: int, request: bool = False, strict: bool = False) -> Any:
        del request, strict
        if number not in self.tasks:
            raise xmlrpc.client.Fault(GENERIC, f"No such task: {number}")
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

    def getTaskResult(self, number: int) -> Any:
        task = self.tasks[number]
        if task.state == FAILED:
            raise xmlrpc.client.Fault(GENERIC, task.fault)
        return {}

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
            if build["build_id"] == wanted or (
                isinstance(wanted, dict)
                and all(build[word] == wanted[word] for word in ("name", "version", "release"))
            ):
                return build
        return None

    def listBuildRPMs(self, number: int) -> Any:
        return self.builds[number]["rpms"]

    def getBuildLogs(self, number: int) -> Any:
        return self.builds[number]["logs"]

    def queryRPMSigs(self, rpm_id: int) -> list[dict[str, Any]]:
        return [
            {"rpm_id": rpm_id, "sigkey": key}
            for build in self.builds.values()
            for rpm in build["rpms"]
            if rpm["id"] == rpm_id
            for key in rpm["keys"]
        ]

    def getRepo(self, tag: int) -> Any:
        del tag
        if len(self.repositories) > 1:
            self.repositories.pop(0)
        return {"create_event": 1} if self.repositories else None

    def listTagged(self, tag: int, event: int, package: str, inherit: bool) -> Any:
        del tag, event, inherit
        return [
            build
            for build in self.builds.values()
            if build["nvr"] in self.repositories[0] and build["name"] == package
        ]

    def listMethods(self) -> list[str]:
        return self.methods

    def CGInitBuild(self, generator: str, data: dict[str, Any]) -> dict[str, Any]:
        del generator
        number = 500 + len(self.builds)
        self.builds[number] = data | {
            "build_id": number, "state": 0, "nvr": f"{data['name']}-{data['version']}-{data['release']}",
            "rpms": [], "logs": [],
        }  # fmt: skip
        self.reserved[number] = "token"
        return {"build_id": number, "token": "token"}

    def CGImport(self, metadata: dict[str, Any], folder: str, token: str) -> Any:
        number = metadata["build"]["build_id"]
        if self.reserved.get(number) != token:
            raise xmlrpc.client.Fault(GENERIC, "Token doesn't match build ID")
        for output in metadata["output"]:
            data = self.uploaded(f"{folder}/{output['filename']}")
            if len(data) != output["filesize"]:
                raise xmlrpc.client.Fault(GENERIC, "File size doesn't match. Corrupted upload?")
        del self.reserved[number]
        self.builds[number]["state"] = 1
        return self.builds[number]

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

    def dispatch(self, method: str, parameters: Any) -> Any:
        """Call a method; the last parameter may be a map of named ones (koji.encode_args)."""
        arguments = list(parameters)
        named: dict[str, Any] = {}
        if arguments and isinstance(arguments[-1], dict) and arguments[-1].pop("__starstar", False):
            named = arguments.pop()
        if method != "multiCall":
            self.calls.append((method, arguments, named))
        function = getattr(self, method.removeprefix("system."), None)
        if function is None:
            raise xmlrpc.client.Fault(GENERIC, f"Invalid method: {method}")
        return function(*arguments, **named)

    def take_harm(self, method: str) -> Any:
        """Return what is to happen at this call, None for nothing."""
        waiting = self.harm.get(method)
        return waiting.pop(0) if waiting else None


def build_succeeds(hub: StandInHub, task: StandInTask) -> None:
    """Script: the build and its children succeed within three polls."""
    task.states = [FREE, OPEN, OPEN, CLOSED]
    hub.add_task("rebuildSRPM", task.request, [OPEN, CLOSED], parent=task.id, host_id=1)
    hub.add_task("buildArch", task.request, [FREE, OPEN, CLOSED], parent=task.id, host_id=2)


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


class _Handler(http.server.BaseHTTPRequestHandler):
    """Speaks XML-RPC for a hub, takes rawUpload, and serves the files below its folder."""

    protocol_version = "HTTP/1.1"
    hub: StandInHub

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        hub = self.hub
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        with hub.lock:
            hub.requests += 1
            try:
                if "filename" in query:
                    answer = self._upload(query, body)
                    payload = xmlrpc.client.dumps((answer,), methodresponse=True, allow_none=True)
                else:
                    payload = self._call(body)
            except Cut:
                self.close_connection = True
                self.connection.close()
                return
            except xmlrpc.client.Fault as fault:
                payload = xmlrpc.client.dumps(fault, methodresponse=True, allow_none=True)
        self._answer(200, payload.encode())

    def _call(self, body: bytes) -> str:
        hub = self.hub
        parameters, method = xmlrpc.client.loads(body, use_builtin_types=True)
        assert method is not None
        harm = hub.take_harm(method)
        if harm == "cut before":
            raise Cut
        if harm == "offline":
            raise xmlrpc.client.Fault(OFFLINE, "database outage")
        if harm == "expire":
            raise xmlrpc.client.Fault(AUTH_EXPIRED, "session expired")
        if isinstance(harm, tuple):
            raise xmlrpc.client.Fault(*harm)
        self._check_session()
        answer = hub.dispatch(method, parameters)
        if harm == "cut after":
            raise Cut
        return xmlrpc.client.dumps((answer,), methodresponse=True, allow_none=True)

    def _check_session(self) -> None:
        number = self.headers.get("Koji-Session-Id")
        if number is None:
            return
        callnum = int(self.headers["Koji-Session-Callnum"])
        if int(number) not in self.hub.sessions:
            raise xmlrpc.client.Fault(AUTH, "Invalid session or bad credentials")
        if callnum <= self.hub.sessions[int(number)]:
            raise xmlrpc.client.Fault(RETRY, f"unable to retry call {callnum}")
        self.hub.sessions[int(number)] = callnum

    def _upload(self, query: dict[str, list[str]], body: bytes) -> dict[str, Any]:
        self._check_session()
        harm = self.hub.take_harm("upload")
        if harm == "cut before":
            raise Cut
        path = self.hub.folder / query["filepath"][0] / query["filename"][0]
        path.parent.mkdir(parents=True, exist_ok=True)
        offset = int(query["offset"][0])
        data = bytearray(path.read_bytes() if path.exists() and offset else b"")
        data[offset:] = body[:-1] + b"?" if harm == "damage" else body
        path.write_bytes(data)
        return {"size": len(body), "hexdigest": f"{zlib.adler32(data[offset:]):08x}"}

    def do_GET(self) -> None:
        path = self.hub.folder / urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).lstrip("/")
        if not path.is_file():
            self._answer(404, b"not here")
            return
        data = path.read_bytes()
        wanted = self.headers.get("Range")
        if wanted and not self.hub.harm.get("no ranges"):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            self._answer(206 if start < len(data) else 416, data[start:])
        else:
            self._answer(200, data)

    def _answer(self, status: int, payload: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serve(hub: StandInHub) -> Iterator[str]:
    """Serve a hub on loopback; yield its address, without /kojihub."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
