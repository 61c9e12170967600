"""A forge on loopback: it keeps comments and statuses, checks each request against the published
shape of the API, and fails on demand. It never tells a token.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from jsonschema import Draft202012Validator

from tests.loopback import served

TEXT = {"type": "string"}
NULLABLE = {"type": ["string", "null"]}
COMMENT = {
    "type": "object",
    "required": ["body"],
    "properties": {"body": {"type": "string", "maxLength": 65536}},
    "additionalProperties": False,
}
# GitHub's OpenAPI description: issues/create-comment, issues/update-comment,
# repos/create-commit-status. The limit of a description is that of the service.
GITHUB_STATUS = {
    "type": "object",
    "required": ["state"],
    "properties": {
        "state": {"enum": ["error", "failure", "pending", "success"]},
        "target_url": NULLABLE,
        "description": {"type": ["string", "null"], "maxLength": 140},
        "context": TEXT,
    },
    "additionalProperties": False,
}
GITLAB_STATUS = {
    "type": "object",
    "required": ["state"],
    "properties": {
        "state": {"enum": ["pending", "running", "success", "failed", "canceled", "skipped"]},
        "name": TEXT,
        "target_url": TEXT,
        "description": {"type": "string", "maxLength": 255},
        "ref": TEXT,
    },
    "additionalProperties": False,
}
SHA = r"([0-9a-f]{40})"


@dataclass
class Fault:
    """An answer instead of what was asked for; `hang_up` gives none at all."""

    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: str = '{"message": "a fault"}'
    hang_up: bool = False


@dataclass
class ForgeEmulator:
    """What it was told, and what it is going to answer."""

    token: str
    url: str = ""
    comments: dict[int, dict[str, Any]] = field(default_factory=dict)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    foreign: set[int] = field(default_factory=set)
    """Comments of somebody else, which may not be changed."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def status_of(self, commit: str, context: str) -> str | None:
        """The newest state of a commit."""
        for status in reversed(self.statuses):
            if status["commit"] == commit and status["context"] == context:
                return str(status["state"])
        return None

    def add_comment(self, change: int, body: str, *, foreign: bool = False) -> int:
        with self.lock:
            number = max(self.comments, default=0) + 1
            self.comments[number] = {"id": number, "body": body, "change": change}
            if foreign:
                self.foreign.add(number)
            return number

    # What the requests mean

    def answer(self, method: str, path: str, query: dict[str, Any], body: Any) -> tuple[int, Any]:
        for verb, pattern, action in self.routes():
            match = re.fullmatch(pattern, path)
            if match and verb == method:
                status, document = action(*match.groups(), query=query, body=body)
                return int(status), document
        self.violations.append(f"no such operation: {method} {path}")
        return 404, {"message": "Not Found"}

    def routes(self) -> Iterator[tuple[str, str, Any]]:
        repo = r"/repos/acme/images"
        yield "POST", rf"{repo}/statuses/{SHA}", self.github_status
        yield "GET", rf"{repo}/issues/(\d+)/comments", self.list_comments
        yield "POST", rf"{repo}/issues/(\d+)/comments", self.create_comment
        yield "PATCH", rf"{repo}/issues/comments/(\d+)", self.update_comment
        yield "DELETE", rf"{repo}/issues/comments/(\d+)", self.delete_comment
        project = r"/projects/acme/images"
        notes = rf"{project}/merge_requests/(\d+)/notes"
        yield "POST", rf"{project}/statuses/{SHA}", self.gitlab_status
        yield "GET", notes, self.list_comments
        yield "POST", notes, self.create_comment
        yield "PUT", rf"{notes}/(\d+)", self.update_note
        yield "DELETE", rf"{notes}/(\d+)", self.delete_note

    def valid(self, body: Any, schema: dict[str, Any]) -> bool:
        problems = [error.message for error in Draft202012Validator(schema).iter_errors(body)]
        self.violations += problems
        return not problems

    def github_status(self, commit: str, *, query: Any, body: Any) -> tuple[int, Any]:
        if not self.valid(body, GITHUB_STATUS):
            return 422, {"message": "Validation Failed"}
        self.statuses.append({**body, "commit": commit})
        return 201, {"id": 1}

    def gitlab_status(self, commit: str, *, query: Any, body: Any) -> tuple[int, Any]:
        if not self.valid(body, GITLAB_STATUS):
            return 400, {"message": "400 Bad request"}
        self.statuses.append({**body, "context": body["name"], "commit": commit})
        return 201, {"id": 1}

    def list_comments(self, change: str, *, query: Any, body: Any) -> tuple[int, Any]:
        size, page = int(query.get("per_page", ["30"])[0]), int(query.get("page", ["1"])[0])
        if not 1 <= size <= 100:
            self.violations.append(f"per_page is {size}")
        found = [one for one in self.comments.values() if one["change"] == int(change)]
        return 200, found[(page - 1) * size : page * size]

    def create_comment(self, change: str, *, query: Any, body: Any) -> tuple[int, Any]:
        if not self.valid(body, COMMENT):
            return 422, {"message": "Validation Failed"}
        return 201, {"id": self.add_comment(int(change), body["body"])}

    def update_comment(self, number: str, *, query: Any, body: Any) -> tuple[int, Any]:
        if int(number) in self.foreign:
            return 403, {"message": "Resource not accessible by integration"}
        if not self.valid(body, COMMENT):
            return 422, {"message": "Validation Failed"}
        self.comments[int(number)]["body"] = body["body"]
        return 200, {"id": int(number)}

    def delete_comment(self, number: str, *, query: Any, body: Any) -> tuple[int, Any]:
        if int(number) in self.foreign:
            return 403, {"message": "Resource not accessible by integration"}
        gone = self.comments.pop(int(number), None)
        return (204, None) if gone else (404, {"message": "Not Found"})

    def delete_note(self, _change: str, number: str, *, query: Any, body: Any) -> tuple[int, Any]:
        return self.delete_comment(number, query=query, body=body)

    def update_note(self, _change: str, number: str, *, query: Any, body: Any) -> tuple[int, Any]:
        return self.update_comment(number, query=query, body=body)


@contextmanager
def running_forge(token: str) -> Iterator[ForgeEmulator]:
    """The emulator behind a real server, until the body ends."""
    forge = ForgeEmulator(token=token)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: Any) -> None:
            pass

        def handle_any(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            raw = self.rfile.read(length)
            with forge.lock:
                forge.requests.append(f"{self.command} {self.path}")
                fault = forge.faults.pop(0) if forge.faults else None
                if fault is not None and fault.hang_up:
                    self.close_connection = True
                    return
                status, headers, answer = self.respond(raw, fault)
            data = answer.encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def respond(self, raw: bytes, fault: Fault | None) -> tuple[int, dict[str, str], str]:
            if fault is not None:
                return fault.status, fault.headers, fault.body
            given = self.headers.get("authorization", "").removeprefix("Bearer ")
            if forge.token not in (given, self.headers.get("private-token")):
                return 401, {}, '{"message": "Bad credentials"}'
            parts = urlsplit(self.path)
            body = json.loads(raw) if raw else None
            path = unquote(parts.path)
            status, document = forge.answer(self.command, path, parse_qs(parts.query), body)
            return status, {"content-type": "application/json"}, json.dumps(document)

    for verb in ("GET", "POST", "PATCH", "PUT", "DELETE"):
        setattr(Handler, f"do_{verb}", Handler.handle_any)

    with served(Handler) as forge.url:
        yield forge
