"""A small world on loopback: a signed Debian archive, a Python index, and a server that can misbehave."""

from __future__ import annotations

import base64
import gzip
import hashlib
import lzma
import threading
import time
import zipfile
from collections import Counter
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import pysequoia
import pytest

from jupyter_containers.lock.settings import Settings
from jupyter_containers.paths import Paths


class Site:
    """Files by path, served over HTTP/1.1 with ranges and validators; *trouble* may answer in their place."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.ranges: list[str] = []
        self.trouble = []
        self.cut: dict[str, int] = {}
        """Path → bytes after which the connection breaks, once."""
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                site.asked.append(self.path)
                for answer in site.trouble:
                    if (status := answer(self.path)) is not None:
                        self.send_response(status[0])
                        for key, value in status[1].items():
                            self.send_header(key, value)
                        self.send_header("Content-Length", "0")
                        self.end_headers()
                        return
                body = site.files.get(self.path)
                if body is None:
                    self.send_error(404)
                    return
                etag = hashlib.sha256(body).hexdigest()
                if self.headers.get("If-None-Match") == etag:
                    self.send_response(304)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                start, last, status = 0, len(body) - 1, 200
                if wanted := self.headers.get("Range"):
                    site.ranges.append(wanted)
                    first, _, end = wanted.removeprefix("bytes=").partition("-")
                    start, last, status = int(first), int(end or last), 206
                part = body[start : last + 1]
                self.send_response(status)
                self.send_header("Content-Length", str(len(part)))
                if status == 206:
                    self.send_header("Content-Range", f"bytes {start}-{last}/{len(body)}")
                self.send_header("ETag", etag)
                if self.path.endswith("/"):
                    self.send_header("Content-Type", "text/html")
                self.end_headers()
                if self.command == "HEAD":
                    return
                if (end := site.cut.pop(self.path, None)) is not None:
                    self.wfile.write(part[:end])
                    self.close_connection = True
                    return
                self.wfile.write(part)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def counts(self) -> Counter[str]:
        return Counter(self.asked)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class DebianArchive:
    """Suites of a Debian archive below ``/debian`` and ``/debian-security`` of a site."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.key = pysequoia.Tsk.generate("Archive <archive@example.org>")
        self.keyring = folder / "archive.pgp"
        self.keyring.write_bytes(bytes(self.key.extract_certificate()))
        self.stanzas: dict[str, list[str]] = {}

    def add(self, suite: str, name: str, version: str, *, architecture: str = "amd64", **fields: str) -> None:
        content = f"{name} {version}".encode()
        root = "debian-security" if suite.endswith("-security") else "debian"
        filename = f"pool/main/{name[0]}/{name}/{name}_{version}_{architecture}.deb"
        self.site.files[f"/{root}/{filename}"] = content
        lines = [f"Package: {name}", f"Version: {version}", f"Architecture: {architecture}"]
        lines += [f"{key.replace('_', '-')}: {value}" for key, value in fields.items()]
        lines += [f"Filename: {filename}", f"Size: {len(content)}", f"SHA256: {hashlib.sha256(content).hexdigest()}"]
        lines += ["Description: a package", " with a long text"]
        self.stanzas.setdefault(suite, []).append("\n".join(lines))

    def publish(
        self, suite: str, *, name: str = "", stable: str = "", valid: float | None = 7 * 86400, key: object = None,
        sign: bool = True, by_hash: bool = True, date: float | None = None, **fields: str,
    ) -> None:  # fmt: skip
        root = "debian-security" if suite.endswith("-security") else "debian"
        text = ("\n\n".join(self.stanzas.get(suite, [])) + "\n").encode()
        files = {"main/binary-amd64/Packages": text, "main/binary-amd64/Packages.xz": lzma.compress(text)}
        files["main/binary-amd64/Packages.gz"] = gzip.compress(text, mtime=0)
        now = time.time() if date is None else date
        lines = [
            f"Codename: {name or suite}",
            f"Suite: {stable or name or suite}",
            f"Date: {formatdate(now, usegmt=True)}",
        ]
        if valid is not None:
            lines.append(f"Valid-Until: {formatdate(now + valid, usegmt=True)}")
        lines += [f"{field.replace('_', '-')}: {value}" for field, value in fields.items()]
        lines += [
            "Acquire-By-Hash: yes" if by_hash else "Acquire-By-Hash: no",
            "Architectures: amd64",
            "Components: main",
            "SHA256:",
        ]
        for path, content in files.items():
            digest = hashlib.sha256(content).hexdigest()
            lines.append(f" {digest} {len(content)} {path}")
            self.site.files[f"/{root}/dists/{suite}/{path}"] = content
            self.site.files[f"/{root}/dists/{suite}/main/binary-amd64/by-hash/SHA256/{digest}"] = content
        release = ("\n".join(lines) + "\n").encode()
        if sign:
            signer = (key or self.key).signer()
            release = pysequoia.sign(signer, release, mode=pysequoia.SignatureMode.CLEAR)
        self.site.files[f"/{root}/dists/{suite}/InRelease"] = release


class PythonIndex:
    """A simple repository (PEP 503) below ``/simple`` of a site."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.links: dict[str, list[str]] = {}

    @property
    def url(self) -> str:
        return f"{self.site.url}/simple"

    def add(self, name: str, version: str, *requires: str, tag: str = "py3-none-any") -> str:
        """Publish a wheel; its sha256."""
        file = f"{name.replace('-', '_')}-{version}-{tag}.whl"
        content = wheel(name, version, *requires, tag=tag)
        self.site.files[f"/files/{file}.metadata"] = metadata(name, version, *requires).encode()
        return self.publish(name, file, content)

    def publish(self, name: str, file: str, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self.site.files[f"/files/{file}"] = content
        links = self.links.setdefault(name, [])
        told = ' data-dist-info-metadata="true"' if f"/files/{file}.metadata" in self.site.files else ""
        links.append(f'<a href="/files/{file}#sha256={digest}"{told}>{file}</a>')
        self.site.files[f"/simple/{name}/"] = f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode()
        return digest


def metadata(name: str, version: str, *requires: str) -> str:
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {item}" for item in requires),
    ]
    return "\n".join(lines) + "\n"


def wheel(name: str, version: str, *requires: str, tag: str = "py3-none-any") -> bytes:
    """The bytes of a small wheel (PEP 427)."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    tags = "".join(f"Tag: {tag.rpartition('-')[0]}-{each}\n" for each in tag.rpartition("-")[2].split("."))
    files = {
        f"{name.replace('-', '_')}.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": metadata(name, version, *requires),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n{tags}",
    }
    record = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record.append(f"{path},sha256={digest},{len(text)}")
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    target = BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), text)
    return target.getvalue()


@pytest.fixture
def site():
    made = Site()
    yield made
    made.close()


@pytest.fixture
def debian(site, tmp_path):
    return DebianArchive(site, tmp_path)


@pytest.fixture
def index(site):
    return PythonIndex(site)


@pytest.fixture
def settings(site, debian):
    """Settings that name the small world alone, with short pauses."""
    return Settings(
        debian_archives=(f"{site.url}/debian",), security_archives=(f"{site.url}/debian-security",),
        origin="the test", keyrings=(str(debian.keyring),), retries=1, connect_timeout=5, idle_timeout=5,
    )  # fmt: skip


@pytest.fixture
def paths(tmp_path):
    return Paths(tmp_path / "home", tmp_path / "run").made()


@pytest.fixture
def own_environment(monkeypatch, tmp_path):
    """No index configuration and no cache of the person who runs the tests."""
    for name in (
        "UV_INDEX",
        "UV_INDEX_URL",
        "UV_DEFAULT_INDEX",
        "UV_EXTRA_INDEX_URL",
        "UV_CONFIG_FILE",
        "UV_NO_CONFIG",
        "PIP_INDEX_URL",
        "PIP_EXTRA_INDEX_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
