"""Fixtures: a local HTTP server that misbehaves on request, and small images."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image


@dataclass
class Behaviour:
    """How the server answers; `log` keeps what it was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    etag: str | None = "strong"  # 'strong', 'weak' or None
    last_modified: str | None = None
    cut_after: list[int] = field(default_factory=list)  # bytes of body per answer, then cut
    status: list[int] = field(default_factory=list)  # answers to give first
    content_type: str = "application/octet-stream"
    length: bool = True  # tell Content-Length
    conditions: bool = True  # heed If-Range
    bare_partial: bool = False  # no version in partial answers, as RFC 9110 15.3.7 allows
    too_long: bytes = b""  # sent beyond the announced length
    redirect: dict[str, str] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[Behaviour]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None: ...

        def do_GET(self) -> None:
            b = behaviour
            self.close_connection = True
            b.log.append({"path": self.path, "range": self.headers.get("Range")})
            if b.status:
                self.send_response(b.status.pop(0))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if self.path in b.redirect:
                self.send_response(302)
                self.send_header("Location", b.redirect[self.path])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if self.path not in b.files:
                self.send_error(404)
                return
            body = b.files[self.path]
            tag = '"' + hashlib.sha256(body).hexdigest()[:16] + '"'
            if b.etag == "weak":
                tag = f"W/{tag}"
            start = 0
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            condition = self.headers.get("If-Range")
            fits = not b.conditions or condition in (None, tag, b.last_modified)
            if b.ranges and asked and fits:
                start = int(asked[1])
                if start >= len(body):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(body)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(200)
            self.send_header("Content-Type", b.content_type)
            bare = b.bare_partial and start > 0
            if b.etag and not bare:
                self.send_header("ETag", tag)
            if b.last_modified and not bare:
                self.send_header("Last-Modified", b.last_modified)
            if b.length:
                self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            rest = body[start:]
            if b.cut_after:
                self.wfile.write(rest[: b.cut_after.pop(0)])
                self.wfile.flush()
                self.connection.close()
                return
            self.wfile.write(rest + b.too_long)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    behaviour.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield behaviour
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server() -> Iterator[Behaviour]:
    with serving(Behaviour()) as behaviour:
        yield behaviour


@pytest.fixture
def draw() -> Callable[..., Path]:
    """Write a small image of its own colours, seeded by its path."""

    def write(
        path: Path, size: tuple[int, int] = (8, 6), mode: str = "RGB", seed: str = ""
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256((seed or path.as_posix()).encode()).digest()
        pixels = np.random.default_rng(list(digest)).integers(
            0, 256, (size[1], size[0], len(mode)), dtype=np.uint8
        )
        if mode == "RGBA":
            pixels[..., 3] = 255
        Image.fromarray(pixels, mode).save(path)
        return path

    return write
