"""A stand-in for the hub: a server on this machine that answers what huggingface_hub asks to publish."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".onnx")  # which the hub takes apart from the commit
REVISION = "a" * 40


class Hub(ThreadingHTTPServer):
    """repositories: name -> {file: content}. status: what every write is answered with, 0 = it is done."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.large: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.tokens: set[str] = set()
        self.status = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = self.begin()
        if path.startswith("/api/models/"):
            name = "/".join(path.split("/")[3:5])
            if name not in self.server.repositories:
                return self.answer(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            files = [{"rfilename": file} for file in self.server.repositories[name]]
            return self.answer(200, {"id": name, "sha": REVISION, "siblings": files, "tags": []})
        owner, name, _, _, *file = path.strip("/").split("/")
        content = self.server.repositories[f"{owner}/{name}"]["/".join(file)]
        return self.answer(200, content, {"ETag": f'"{hashlib.sha256(content).hexdigest()}"',
                                          "X-Repo-Commit": REVISION})

    do_HEAD = do_GET  # noqa: N815

    def do_PUT(self) -> None:
        content = self.body()
        assert hashlib.sha256(content).hexdigest() == self.begin().rpartition("/")[2]
        self.server.large[hashlib.sha256(content).hexdigest()] = content
        self.answer(200, b"")

    def do_POST(self) -> None:
        path, body = self.begin(), self.body()
        if self.server.status:
            return self.answer(self.server.status, {"error": "You don't have the rights"})
        if path == "/api/repos/create":
            wanted = json.loads(body)
            name = f"{wanted['organization']}/{wanted['name']}"
            self.server.repositories[name] = {".gitattributes": b""}
            return self.answer(200, {"url": f"{self.server.address}/{name}", "id": name})
        if path.endswith("/objects/batch"):
            objects = [{**one, "actions": {"upload": {"href": f"{self.server.address}/large/{one['oid']}"}}}
                       for one in json.loads(body)["objects"]]
            return self.answer(200, {"transfer": "basic", "objects": objects})
        if path == "/api/validate-yaml":
            return self.answer(200, {"errors": [], "warnings": []})
        name = "/".join(path.split("/")[3:5])
        if "/preupload/" in path:
            files = [{"path": file["path"], "shouldIgnore": False,
                      "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular"}
                     for file in json.loads(body)["files"]]
            return self.answer(200, {"files": files})
        assert "/commit/" in path
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                self.server.repositories[name][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.server.repositories[name][value["path"]] = self.server.large[value["oid"]]
        return self.answer(200, {"commitUrl": f"{self.server.address}/{name}/commit/{REVISION}",
                                 "commitOid": REVISION, "hookOutput": ""})

    def begin(self) -> str:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(f"{self.command} {path}")
        self.server.tokens.add(self.headers.get("Authorization", ""))
        return path

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        sent = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for key, value in {"Content-Length": str(len(sent)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(sent)


@contextmanager
def running() -> Iterator[Hub]:
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, daemon=True)
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()
