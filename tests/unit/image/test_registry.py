"""The registry client against a small server of its own, which does as registries do, and as they should not."""

from __future__ import annotations

import gzip
import itertools
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from jupyter_containers.errors import (
    ContainersError,
    InputError,
    NotFoundError,
    RegistryError,
    UnreachableError,
    UntrustedContentError,
)
from jupyter_containers.image.blobs import layer_tar
from jupyter_containers.image.bounds import Bounds
from jupyter_containers.image.digest import sha256_of
from jupyter_containers.image.layout import host_architecture
from jupyter_containers.image.model import CONFIG_TYPE, INDEX_TYPE, LAYER_TYPE, MANIFEST_TYPE, ImageConfig, Layer
from jupyter_containers.image.pull import Pulled, pull
from jupyter_containers.image.push import push
from jupyter_containers.image.registry import Registry
from jupyter_containers.image.registry_auth import Credential
from jupyter_containers.image.registry_copy import copy_image, list_tags
from jupyter_containers.image.registry_settings import RegistrySettings
from jupyter_containers.image.store import Store

SMALL = Bounds(reserve=0)
PATIENT = RegistrySettings(connect_timeout=10, idle_timeout=10, retries=1)
HASTY = RegistrySettings(connect_timeout=10, idle_timeout=0.3, retries=1)
Commit = Callable[..., Layer]


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query)


@dataclass
class Server:
    """A registry in memory. *rules* come first: the one whose key is in "METHOD path" answers."""

    http: ThreadingHTTPServer
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    rules: dict[str, Callable[[BaseHTTPRequestHandler, Request], bool | None]] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return f"localhost:{self.http.server_address[1]}"

    def asked(self, text: str) -> list[Request]:
        return [request for request in self.requests if text in f"{request.method} {request.path}"]

    def blob(self, data: bytes, media_type: str, **more: object) -> dict[str, Any]:
        self.blobs[sha256_of(data)] = data
        return {"mediaType": media_type, "digest": sha256_of(data), "size": len(data), **more}

    def manifest(self, tag: str, document: dict[str, Any], media_type: str = MANIFEST_TYPE) -> dict[str, Any]:
        data = json.dumps({"schemaVersion": 2, "mediaType": media_type, **document}).encode()
        self.manifests[tag] = self.manifests[sha256_of(data)] = media_type, data
        return {"mediaType": media_type, "digest": sha256_of(data), "size": len(data)}

    def image(self, *tars: bytes, tag: str = "1", architecture: str = "") -> dict[str, Any]:
        config = {
            "architecture": architecture or host_architecture(), "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [sha256_of(tar) for tar in tars]},
        }  # fmt: skip
        layers = [self.blob(gzip.compress(tar, mtime=0), f"{LAYER_TYPE}+gzip") for tar in tars]
        return self.manifest(tag, {"config": self.blob(json.dumps(config).encode(), CONFIG_TYPE), "layers": layers})


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def handle_any(self) -> None:
        state: Server = self.server.state
        length = int(self.headers.get("content-length", "0"))
        request = Request(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, b"")
        rule = next((rule for key, rule in state.rules.items() if key in f"{self.command} {self.path}"), None)
        state.requests.append(request)
        if rule is None or rule(self, request) is False:
            request.body = self.rfile.read(length)
            self.answer_as_registry(state, request)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = handle_any

    def answer_as_registry(self, state: Server, request: Request) -> None:
        path = urlsplit(self.path).path
        kind, _, last = path.rpartition("/")
        if path == "/v2/":
            reply(self, 200, b"{}")
        elif "/blobs/uploads/" in path:
            self.answer_upload(state, request, last)
        elif kind.endswith("/blobs") and last in state.blobs:
            serve(self, state.blobs[last])
        elif kind.endswith("/manifests") and self.command == "PUT":
            state.manifests[last] = request.headers["content-type"], request.body
            reply(self, 201, b"", {"Docker-Content-Digest": sha256_of(request.body)})
        elif kind.endswith("/manifests") and last in state.manifests:
            media_type, data = state.manifests[last]
            reply(self, 200, data, {"Content-Type": media_type, "Docker-Content-Digest": sha256_of(data)})
        else:
            reply(self, 404, b'{"errors":[{"code":"NOT_THERE","message":"no such thing"}]}')

    def answer_upload(self, state: Server, request: Request, session: str) -> None:
        if self.command == "POST":
            session = f"session{len(state.uploads)}"
            state.uploads[session] = b""
        elif session not in state.uploads:
            return reply(self, 404, b"")
        state.uploads[session] += request.body
        data = state.uploads[session]
        where = {"Location": f"/v2/x/blobs/uploads/{session}?_state=s3cret", "Range": f"0-{max(len(data) - 1, 0)}"}
        if self.command == "PUT":
            if request.query["digest"] != [sha256_of(data)]:
                return reply(self, 400, b'{"errors":[{"code":"DIGEST_INVALID"}]}')
            state.blobs[sha256_of(data)] = data
            return reply(self, 201, b"")
        return reply(self, 204 if self.command == "GET" else 202, b"", where)

    def log_message(self, format: str, *args: object) -> None:
        pass


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    handler.send_response(status)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    if status != 204:
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if handler.command != "HEAD" and status != 204:
        handler.wfile.write(body)


def serve(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    """With ranges."""
    start = int(handler.headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
    if start:
        reply(handler, 206, data[start:], {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"})
    else:
        reply(handler, 200, data)


@pytest.fixture
def start_server() -> Iterator[Callable[[], Server]]:
    running: list[ThreadingHTTPServer] = []

    def started() -> Server:
        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        http.daemon_threads = True
        http.block_on_close = False
        # A TLS handshake is tried first, which the server takes for a broken request.
        http.handle_error = lambda *_: None  # type: ignore[method-assign, assignment]
        server = http.state = Server(http)  # type: ignore[attr-defined]
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        running.append(http)
        return server

    yield started
    for http in running:
        http.shutdown()
        http.server_close()


@pytest.fixture
def server(start_server: Callable[[], Server]) -> Server:
    return start_server()


@pytest.fixture
def other(start_server: Callable[[], Server]) -> Server:
    return start_server()


@pytest.fixture
def tar(make_tar: Callable[..., bytes]) -> bytes:
    return make_tar(("etc/motd", {"data": b"hello"}))


@pytest.fixture
def take(store: Store, server: Server) -> Callable[..., Pulled]:
    """Pull ``x:1`` (or another) from the server."""

    def taken(name: str = "x:1", settings: RegistrySettings = PATIENT, **options: Any) -> Pulled:
        return pull(store, f"{server.host}/{name}", settings=settings, bounds=SMALL, **options)

    return taken


def left_behind(store: Store) -> list[str]:
    return [str(path) for name in ("l", "layers", "images", "refs", "tmp") for path in (store.root / name).iterdir()]


# What should be


def test_an_image_comes_over_whole(server: Server, take: Callable[..., Pulled], store: Store, tar: bytes) -> None:
    entry = server.image(tar)
    told: list[tuple[str, int, int]] = []
    pulled = take(progress=lambda *step: told.append(step))
    assert pulled.digest == entry["digest"]
    assert pulled.reference == f"{server.host}/x:1"
    assert (pulled.image.layers[0].path / "etc/motd").read_bytes() == b"hello"
    assert store.image(f"{server.host}/x:1").digest == store.image(entry["digest"]).digest == pulled.image.digest
    size = len(gzip.compress(tar))
    assert told[-1] == ("pulling layers", size, size)


def test_only_missing_layers_move(
    server: Server, take: Callable[..., Pulled], tar: bytes, make_tar: Callable[..., bytes]
) -> None:
    server.image(tar)
    take()
    more = make_tar(("etc/issue", {"data": b"new"}))
    server.image(tar, more, tar, tag="2")
    server.requests.clear()
    pulled = take("x:2")
    assert pulled.moved == 1
    moved = [request.path.rpartition("/")[2] for request in server.asked("GET /v2/x/blobs/")]
    assert sha256_of(gzip.compress(more, mtime=0)) in moved
    assert sha256_of(gzip.compress(tar, mtime=0)) not in moved
    assert [layer.diff_id for layer in pulled.image.layers] == [sha256_of(tar), sha256_of(more), sha256_of(tar)]


def test_the_platform_is_chosen_in_nested_indexes(
    server: Server, take: Callable[..., Pulled], tar: bytes, make_tar: Callable[..., bytes]
) -> None:
    def listed(entry: dict[str, Any], architecture: str, variant: str = "") -> dict[str, Any]:
        return entry | {"platform": {"os": "linux", "architecture": architecture, "variant": variant}}

    mine = listed(server.image(tar, tag="a"), host_architecture())
    arms = [
        listed(server.image(make_tar((v, {"data": b""})), tag=v, architecture="arm"), "arm", v) for v in ("v6", "v7")
    ]
    unknown = listed(server.image(tar, tag="u"), "unknown") | {"platform": {"os": "unknown", "architecture": "unknown"}}
    inner = server.manifest("inner", {"manifests": [mine, *arms, unknown]}, INDEX_TYPE)
    outer = server.manifest("1", {"manifests": [inner]}, INDEX_TYPE)
    pulled = take()
    assert pulled.digest == outer["digest"]
    assert pulled.image.manifest_digest == mine["digest"]
    assert take(architecture="arm/v7").image.manifest_digest == arms[1]["digest"]
    with pytest.raises(UntrustedContentError, match=r"no image for linux/s390x \(it holds .*arm"):
        take(architecture="s390x")
    with pytest.raises(UntrustedContentError, match="is for linux/arm and not for"):
        take("x:v7")


def ask_for_token(server: Server, auth: Server, *, scope: str = "repository:x:pull") -> None:
    """Let *server* ask for tokens that *auth* gives for ann's password."""

    def challenge(handler: BaseHTTPRequestHandler, request: Request) -> bool:
        if request.headers.get("authorization") == f"Bearer token-for-{scope}":
            return False
        realm = f'Bearer realm="http://{auth.host}/token?client=1",service="reg",scope="{scope}"'
        reply(handler, 401, b"", {"WWW-Authenticate": realm})
        return True

    def give(handler: BaseHTTPRequestHandler, request: Request) -> None:
        if request.headers.get("authorization") != "Basic YW5uOnMzY3JldA==":
            return reply(handler, 401, b'{"errors":[{"code":"UNAUTHORIZED"}]}')
        return reply(handler, 200, json.dumps({"token": f"token-for-{request.query['scope'][0]}"}).encode())

    server.rules["/v2/x"] = challenge
    auth.rules["/token"] = give


ANN = Credential("ann", "s3cret")


def test_token_and_redirect(
    server: Server, start_server: Callable[[], Server], take: Callable[..., Pulled], tar: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """The password goes to the token server, the token to the registry, and neither where it redirects to."""
    auth, storage = start_server(), start_server()
    server.image(tar)
    blob = sha256_of(gzip.compress(tar, mtime=0))
    storage.rules["/storage"] = lambda handler, _: serve(handler, server.blobs[blob])
    ask_for_token(server, auth)

    def redirect(handler: BaseHTTPRequestHandler, request: Request) -> None:
        assert request.headers["authorization"] == "Bearer token-for-repository:x:pull"
        reply(handler, 307, b"", {"Location": f"http://{storage.host}/storage?X-Signature=s3cret"})

    server.rules = {f"GET /v2/x/blobs/{blob}": redirect, **server.rules}
    asked: list[str] = []

    def find(registry: str) -> Credential:
        asked.append(registry)
        return ANN

    with caplog.at_level(logging.DEBUG, logger="httpx"):
        take(credential=find)
    assert asked == [server.host]
    (request,) = auth.asked("/token")
    assert request.query == {
        "client": ["1"], "service": ["reg"], "scope": ["repository:x:pull"], "account": ["ann"]
    }  # fmt: skip
    assert storage.requests
    assert all("authorization" not in request.headers for request in storage.requests)
    assert caplog.records
    assert "s3cret" not in caplog.text
    assert all(request.headers.get("authorization", "Bearer ").startswith("Bearer ") for request in server.requests)


def test_wrong_password_and_none(server: Server, other: Server, take: Callable[..., Pulled], store: Store) -> None:
    ask_for_token(server, other)
    for credential in (None, Credential("ann", "wr0ng")):
        with pytest.raises(RegistryError, match=r"not let in by its token server .*UNAUTHORIZED") as error:
            take(credential=lambda _, credential=credential: credential)
        assert "wr0ng" not in str(error.value)
        assert "login" in error.value.hint
    server.rules = {"/v2/x": lambda handler, _: reply(handler, 401, b"", {"WWW-Authenticate": 'Basic realm="r"'})}
    with pytest.raises(RegistryError, match="asks for a login, and there is none"):
        take()
    with pytest.raises(RegistryError, match="user 'ann' with that password is not let in"):
        take(credential=lambda _: ANN)
    server.rules = {"/v2/x": lambda handler, _: reply(handler, 401, b"", {"WWW-Authenticate": "Digest x=y"})}
    with pytest.raises(RegistryError, match=r"of a kind that is not known here \(digest\)"):
        take()
    assert left_behind(store) == []


def test_refresh_tokens_are_posted(server: Server, other: Server, take: Callable[..., Pulled], tar: bytes) -> None:
    server.image(tar)
    ask_for_token(server, other)

    def give(handler: BaseHTTPRequestHandler, request: Request) -> None:
        form = parse_qs(handler.rfile.read(int(handler.headers["content-length"])).decode())
        assert form["refresh_token"] == ["refresh"]
        reply(handler, 200, json.dumps({"access_token": f"token-for-{form['scope'][0]}"}).encode())

    other.rules = {"POST /token": give}
    take(credential=lambda _: Credential(identity_token="refresh"))


def test_a_broken_transfer_is_taken_up_again(
    server: Server, take: Callable[..., Pulled], make_tar: Callable[..., bytes]
) -> None:
    import random

    content = random.Random(1).randbytes(300_000)
    tar = make_tar(("data", {"data": content}))
    server.image(tar)
    blob = gzip.compress(tar, mtime=0)
    breaks = [100_000, 200_000]

    def broken(handler: BaseHTTPRequestHandler, request: Request) -> bool:
        if not breaks:
            return False
        start = int(request.headers.get("range", "bytes=0-")[6:-1])
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(blob) - 1}/{len(blob)}")
        handler.send_header("Content-Length", str(len(blob) - start))
        handler.end_headers()
        handler.wfile.write(blob[start : breaks.pop(0)])
        handler.close_connection = True
        return True

    server.rules[f"GET /v2/x/blobs/{sha256_of(blob)}"] = broken
    pulled = take(settings=RegistrySettings(retries=3))
    assert (pulled.image.layers[0].path / "data").read_bytes() == content
    ranges = [request.headers.get("range") for request in server.asked(f"blobs/{sha256_of(blob)}")]
    assert ranges == [None, "bytes=100000-", "bytes=200000-"]


def test_a_server_without_ranges_and_one_with_wrong_ones(
    server: Server, take: Callable[..., Pulled], make_tar: Callable[..., bytes]
) -> None:
    tar = make_tar(("data", {"data": bytes(range(256)) * 400}))
    server.image(tar)
    blob = gzip.compress(tar, mtime=0)
    seen: list[int] = []

    def broken(handler: BaseHTTPRequestHandler, request: Request, *, second: str) -> bool:
        seen.append(1)
        if len(seen) > 1:
            if second:
                reply(handler, 206, blob[5:], {"Content-Range": second})
            else:
                reply(handler, 200, blob)
            return True
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(blob)))
        handler.end_headers()
        handler.wfile.write(blob[:100])
        handler.close_connection = True
        return True

    rule = f"GET /v2/x/blobs/{sha256_of(blob)}"
    server.rules[rule] = lambda handler, request: broken(handler, request, second=f"bytes 5-{len(blob)}/{len(blob)}")
    with pytest.raises(RegistryError, match="another part than asked for"):
        take()
    seen.clear()
    server.rules[rule] = lambda handler, request: broken(handler, request, second="")
    assert (take().image.layers[0].path / "data").stat().st_size == 256 * 400


def test_mirrors_come_first_and_detours_are_told(
    server: Server, other: Server, take: Callable[..., Pulled], tar: bytes
) -> None:
    server.image(tar)
    settings = RegistrySettings(mirrors={server.host: (other.host,)}, retries=0)
    told: list[str] = []
    asked: list[str] = []
    pulled = take(settings=settings, notify=told.append, credential=lambda name: asked.append(name))
    assert pulled.source == server.host
    assert told == [
        f"the mirror {other.host} does not serve: {other.host}, x, manifest 1: HTTP 404 (NOT_THERE: no such thing); "
        f"asking {server.host}"
    ]
    other.manifests, other.blobs = server.manifests, server.blobs
    server.requests.clear()
    assert take(settings=settings).source == other.host
    assert server.requests == []
    assert asked == []


def test_pauses_grow_and_are_capped(server: Server) -> None:
    answers = [(503, "7"), (429, "99999"), (500, "soon"), (200, "")]
    server.rules["/v2/"] = lambda handler, _: (
        None if len(server.requests) == 1 else reply(handler, answers[0][0], b"", {"Retry-After": answers.pop(0)[1]})
    )
    pauses: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout or 0)
            return False

    server.rules["/v2/"] = lambda handler, _: reply(handler, answers[0][0], b"", {"Retry-After": answers.pop(0)[1]})
    with Registry(server.host, RegistrySettings(retries=4), stop=Stop()) as registry:
        registry.ping()
    assert pauses[:2] == [7.0, 30.0]
    assert 1.2 <= pauses[2] <= 2.0
    answers[:] = [(503, "")] * 3
    with (
        Registry(server.host, RegistrySettings(retries=1), stop=Stop()) as registry,
        pytest.raises(UnreachableError, match=r"after 2 tries \(HTTP 503\)"),
    ):
        registry.ping()


def test_offline_and_nobody_there(server: Server, take: Callable[..., Pulled]) -> None:
    with pytest.raises(UnreachableError, match="offline"):
        take(settings=RegistrySettings(offline=True))
    assert server.requests == []
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(UnreachableError, match=r"no answer from localhost:\d+ for x, manifest 1 after 1 tries"):
        take(settings=RegistrySettings(retries=0))


# Pushing


@pytest.fixture
def image(store: Store, commit: Commit) -> Any:
    layers = [commit({"a": b"1" * 10}), commit({"b": bytes(range(256)) * 100})]
    return store.put_image(ImageConfig(architecture=host_architecture()), layers)


def test_push_and_pull_again(store: Store, server: Server, image: Any, tmp_path: Path) -> None:
    pushed = push(store, image, f"{server.host}/x:1", settings=PATIENT)
    assert (pushed.sent, pushed.present, pushed.original) == (3, 0, False)
    assert sha256_of(server.manifests["1"][1]) == pushed.digest
    again = push(store, image, f"{server.host}/x:2", settings=PATIENT)
    assert (again.digest, again.sent, again.present) == (pushed.digest, 0, 3)
    elsewhere = Store(tmp_path / "second")
    pulled = pull(elsewhere, f"{server.host}/x:1", settings=PATIENT, bounds=SMALL)
    assert pulled.image.digest == image.digest
    assert [b"".join(map(bytes, layer_tar(elsewhere, layer))) for layer in pulled.image.layers] == [
        b"".join(map(bytes, layer_tar(store, layer))) for layer in image.layers
    ]


@pytest.mark.parametrize("kept", [0, 3_000_000, 5_500_000])
def test_a_broken_upload_is_taken_up_again(store: Store, commit: Commit, server: Server, kept: int) -> None:
    """*kept*: what the registry has of the first try; all of it must arrive once, whatever that is."""
    import random

    content = random.Random(2).randbytes(6_000_000)
    image = store.put_image(ImageConfig(architecture="amd64"), [commit({"data": content})])
    broken: list[int] = []

    def breaks(handler: BaseHTTPRequestHandler, request: Request) -> bool:
        if broken:
            return False
        broken.append(1)
        data = handler.rfile.read(kept)
        session = urlsplit(request.path).path.rpartition("/")[2]
        server.uploads[session] += data
        handler.close_connection = True
        handler.connection.shutdown(2)
        return True

    server.rules["PATCH"] = breaks
    told: list[tuple[str, int, int]] = []
    pushed = push(
        store, image, f"{server.host}/x:1", settings=RegistrySettings(retries=2),
        progress=lambda *step: told.append(step),
    )  # fmt: skip
    assert pushed.sent == 2
    blob = next(entry for entry in json.loads(server.manifests["1"][1])["layers"])
    assert gzip.decompress(server.blobs[blob["digest"]]) == b"".join(map(bytes, layer_tar(store, image.layers[0])))
    ranges = [request.headers.get("content-range") for request in server.requests]
    assert [part for part in ranges if part] == ([f"{kept}-{blob['size'] - 1}"] if kept else [])
    assert told[-1][1] == told[-1][2]


def test_a_registry_that_keeps_something_else_is_told(store: Store, server: Server, image: Any) -> None:
    server.rules["PUT /v2/x/manifests"] = lambda handler, request: reply(
        handler, 201, handler.rfile.read(0), {"Docker-Content-Digest": "sha256:" + "0" * 64, "Connection": "close"}
    )
    with pytest.raises(RegistryError, match="kept with another digest"):
        push(store, image, f"{server.host}/x:1", settings=PATIENT)


def test_upload_address_elsewhere_gets_no_token(store: Store, server: Server, other: Server, image: Any) -> None:
    other.uploads["session0"] = b""
    scope = "repository:x:pull,push"
    auth = other
    ask_for_token(server, auth, scope=scope)

    def lead_away(handler: BaseHTTPRequestHandler, request: Request) -> bool:
        if request.headers.get("authorization") != f"Bearer token-for-{scope}":
            return False
        session = f"session{len(other.uploads)}"
        other.uploads[session] = b""
        reply(handler, 202, b"", {"Location": f"http://{other.host}/v2/x/blobs/uploads/{session}"})
        return True

    challenge = server.rules["/v2/x"]
    server.rules = {
        "POST": lambda handler, request: lead_away(handler, request) or challenge(handler, request),
        **server.rules,
    }
    push(store, image, f"{server.host}/x:1", settings=PATIENT, credential=lambda _: ANN)
    uploads = other.asked("PUT")
    assert uploads
    assert all("authorization" not in request.headers for request in uploads)


def test_a_push_needs_a_place(store: Store, image: Any) -> None:
    for name in ("thesis", "me/thesis:1"):
        with pytest.raises(InputError, match="no registry"):
            push(store, image, name, settings=PATIENT)
    with pytest.raises(InputError, match="digest follows"):
        push(store, image, f"r.example/x@{image.digest}", settings=PATIENT)


# Copies and tags


def test_a_copy_keeps_all_platforms_and_the_digest(
    server: Server, other: Server, tar: bytes, make_tar: Callable[..., bytes]
) -> None:
    entries = [server.image(tar, tag="a"), server.image(make_tar(("b", {"data": b""})), tag="b", architecture="s390x")]
    index = server.manifest("1", {"manifests": entries}, INDEX_TYPE)
    copied = copy_image(f"{server.host}/x:1", f"{other.host}/y:2", settings=PATIENT)
    assert (copied.digest, copied.manifests, copied.sent) == (index["digest"], 3, 4)
    assert other.manifests["2"] == server.manifests["1"]
    assert other.blobs == server.blobs
    assert copy_image(f"{server.host}/x:1", f"{other.host}/y:3", settings=PATIENT).sent == 0


def attached(server: Server, subject: dict[str, Any], text: bytes) -> dict[str, Any]:
    """A document about *subject*, in the list that the server keeps under a tag."""
    part = server.blob(text, "text/plain")
    empty = server.blob(b"{}", "application/vnd.oci.empty.v1+json")
    plain = {key: subject[key] for key in ("mediaType", "digest", "size")}
    entry = server.manifest(text.decode(), {"artifactType": "a/b", "config": empty, "layers": [part], "subject": plain})
    tag = f"sha256-{subject['digest'][7:]}"
    known = json.loads(server.manifests[tag][1])["manifests"] if tag in server.manifests else []
    server.manifest(tag, {"manifests": [*known, {**entry, "artifactType": "a/b"}]}, INDEX_TYPE)
    return entry


def test_a_copy_takes_along_what_is_attached(server: Server, other: Server, tar: bytes) -> None:
    image = server.image(tar, tag="a")
    index = server.manifest("1", {"manifests": [image]}, INDEX_TYPE)
    bill, signature = attached(server, image, b"bill"), attached(server, index, b"signature")
    about_the_bill = attached(server, bill, b"about the bill")
    plain = copy_image(f"{server.host}/x:1", f"{other.host}/y:1", attached=False, settings=PATIENT)
    assert plain.attached == 0
    assert bill["digest"] not in other.manifests
    copied = copy_image(f"{server.host}/x:1", f"{other.host}/y:2", settings=PATIENT)
    assert copied.attached == 3
    for entry in (bill, signature, about_the_bill):
        assert other.manifests[entry["digest"]] == server.manifests[entry["digest"]]
    assert other.blobs == server.blobs
    for subject in (image, index, bill):  # the target keeps no list itself, so the client does
        tag = f"sha256-{subject['digest'][7:]}"
        lists = [json.loads(each.manifests[tag][1])["manifests"] for each in (server, other)]
        assert [item["digest"] for item in lists[0]] == [item["digest"] for item in lists[1]]
    assert copy_image(f"{server.host}/x:1", f"{other.host}/y:2", settings=PATIENT).sent == 0


def test_a_copy_leaves_behind_what_is_not_attached_and_ends(server: Server, other: Server, tar: bytes) -> None:
    image = server.image(tar)
    elsewhere = attached(server, server.image(b"", tag="2"), b"of another")
    told: list[str] = []
    tag = f"sha256-{image['digest'][7:]}"
    server.manifest(
        tag, {"manifests": [elsewhere, {**elsewhere, "mediaType": "a/b", "digest": sha256_of(b"?")}]}, INDEX_TYPE
    )
    copied = copy_image(f"{server.host}/x:1", f"{other.host}/y:1", settings=PATIENT, notify=told.append)
    assert copied.attached == 0
    assert elsewhere["digest"] not in other.manifests
    assert len(told) == 2
    assert all("left behind" in text for text in told)
    known = image
    for number in range(10):  # a document about a document about …
        known = attached(server, known, b"%d" % number)
    server.manifest(tag, {"manifests": json.loads(server.manifests[tag][1])["manifests"][-1:]}, INDEX_TYPE)
    assert copy_image(f"{server.host}/x:1", f"{other.host}/y:1", settings=PATIENT).attached == 4


def test_a_copy_checks_what_passes(server: Server, other: Server, tar: bytes) -> None:
    server.image(tar)
    digest = sha256_of(gzip.compress(tar, mtime=0))
    server.blobs[digest] = server.blobs[digest][:-1] + b"X"
    with pytest.raises(UntrustedContentError, match="its digest is"):
        copy_image(f"{server.host}/x:1", f"{other.host}/y:2", settings=PATIENT)
    assert digest not in other.blobs
    assert "2" not in other.manifests


def test_tags_come_in_pages(server: Server) -> None:
    def page(handler: BaseHTTPRequestHandler, request: Request) -> None:
        last = request.query.get("last", ["a"])[0]
        tags = {"a": ["a1", "a2"], "a2": ["b1"], "b1": None}[last]
        following = {"a": "a2", "a2": "b1"}.get(last)
        link = {"Link": f'</v2/x/tags/list?last={following}&n=2>; rel="next"'} if following else {}
        reply(handler, 200, json.dumps({"name": "x", "tags": tags}).encode(), link)

    server.rules["tags/list"] = page
    assert list(list_tags(f"{server.host}/x", settings=PATIENT)) == ["a1", "a2", "b1"]


@pytest.mark.parametrize("link", ["/v2/x/tags/list?n=1000", "https://elsewhere.example/tags", "/v2/x/tags/list?last=a"])
def test_tags_in_circles(server: Server, link: str) -> None:
    server.rules["tags/list"] = lambda handler, _: reply(
        handler, 200, b'{"tags":["a"]}', {"Link": f'<{link}>; rel="next"'}
    )
    with pytest.raises(RegistryError, match="circles or elsewhere"):
        list(list_tags(f"{server.host}/x", settings=PATIENT))


# What should not be


def wrong_blob(server: Server, tar: bytes, change: Callable[[bytes], bytes]) -> None:
    server.image(tar)
    digest = sha256_of(gzip.compress(tar, mtime=0))
    server.blobs[digest] = change(server.blobs[digest])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data[:-8] + b"\0" * 8, "crc|its digest is|incorrect data check"),
        (lambda data: data + b"more", r"it has \d+ bytes, \d+ are promised"),
        (lambda data: data[:-1], r"it has \d+ bytes, \d+ are promised"),
        (lambda data: b"", r"it has 0 bytes, \d+ are promised"),
    ],
)
def test_blobs_that_are_not_what_was_promised(
    server: Server, take: Callable[..., Pulled], store: Store, tar: bytes, change: Callable[[bytes], bytes], said: str
) -> None:
    wrong_blob(server, tar, change)
    with pytest.raises(UntrustedContentError, match=said) as error:
        take()
    assert f"{server.host}" in error.value.message
    assert left_behind(store) == []


def test_a_stream_without_end(server: Server, take: Callable[..., Pulled], store: Store, tar: bytes) -> None:
    """Chunked, so that no length says what will come: no more than promised is read."""
    server.image(tar)
    digest = sha256_of(gzip.compress(tar, mtime=0))
    sent: list[int] = []

    def pour(handler: BaseHTTPRequestHandler, _: Request) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.close_connection = True
        try:
            while sum(sent) < 1 << 30:
                handler.wfile.write(b"10000\r\n" + bytes(65536) + b"\r\n")
                sent.append(65536)
        except OSError:
            pass

    server.rules[f"GET /v2/x/blobs/{digest}"] = pour
    with pytest.raises(UntrustedContentError):
        take()
    assert sum(sent) < 1 << 26
    assert left_behind(store) == []


def test_documents_without_end(server: Server, take: Callable[..., Pulled]) -> None:
    server.manifests["1"] = MANIFEST_TYPE, b" " * ((4 << 20) + 1)
    with pytest.raises(UntrustedContentError, match="more than 4194304 bytes"):
        take()


def stall(handler: BaseHTTPRequestHandler, _: Request, *, trickle: bytes = b"") -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.send_header("Content-Type", MANIFEST_TYPE)
    handler.end_headers()
    handler.close_connection = True
    try:
        for _ in range(1000):
            handler.wfile.write(trickle)
            time.sleep(0.02)
    except OSError:
        pass


@pytest.mark.parametrize("trickle", [b"", b"x"])
def test_servers_that_stall_or_trickle(server: Server, take: Callable[..., Pulled], trickle: bytes) -> None:
    server.rules["manifests/1"] = lambda handler, request: stall(handler, request, trickle=trickle)
    with pytest.raises(UnreachableError, match="after 2 tries"):
        take(settings=HASTY)


@pytest.mark.parametrize("trickle", [b"", b"\x1f"])
def test_blobs_that_stall_or_trickle(
    server: Server, take: Callable[..., Pulled], store: Store, tar: bytes, trickle: bytes
) -> None:
    server.image(tar)
    config, layer = json.loads(server.manifests["1"][1])["config"], json.loads(server.manifests["1"][1])["layers"][0]
    layer["size"] = 1_000_000
    server.manifest("1", {"config": config, "layers": [layer]})
    server.rules[f"GET /v2/x/blobs/{layer['digest']}"] = lambda handler, request: stall(
        handler, request, trickle=trickle
    )
    with pytest.raises(ContainersError):
        take(settings=HASTY)
    assert left_behind(store) == []


@pytest.mark.parametrize("reference", ["x:1", "x@{}"])
def test_manifests_with_another_digest(server: Server, take: Callable[..., Pulled], tar: bytes, reference: str) -> None:
    digest = server.image(tar)["digest"]
    media_type, data = server.manifests["1"]
    server.rules["manifests/"] = lambda handler, _: reply(
        handler, 200, data + b" ", {"Content-Type": media_type, "Docker-Content-Digest": digest}
    )
    with pytest.raises(UntrustedContentError, match=f"{digest} is promised"):
        take(reference.format(digest))


def test_indexes_without_end(server: Server, take: Callable[..., Pulled], store: Store, tar: bytes) -> None:
    entry = server.image(tar)
    for _ in range(6):
        entry = server.manifest("1", {"manifests": [entry]}, INDEX_TYPE)
    with pytest.raises(UntrustedContentError, match="nested more than 4 deep"):
        take()
    with pytest.raises(UntrustedContentError, match="nested more than 4 deep"):
        copy_image(f"{server.host}/x:1", f"{server.host}/y:1", settings=PATIENT)
    assert left_behind(store) == []


@pytest.mark.parametrize(
    ("media_type", "said"),
    [
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", "docker's format 1"),
        ("application/vnd.docker.distribution.manifest.v1+json; charset=utf-8", "docker's format 1"),
        ("text/html", "'text/html' is no image's media type"),
        ("", "is no image's media type"),
    ],
)
def test_other_media_types(server: Server, take: Callable[..., Pulled], media_type: str, said: str) -> None:
    server.manifests["1"] = media_type, b"{}"
    with pytest.raises(UntrustedContentError, match=said):
        take()


def test_urls_are_never_fetched(server: Server, other: Server, take: Callable[..., Pulled], tar: bytes) -> None:
    server.image(tar)
    manifest = json.loads(server.manifests["1"][1])
    blob = server.blobs.pop(manifest["layers"][0]["digest"])
    other.rules["/blob"] = lambda handler, _: reply(handler, 200, blob)
    manifest["layers"][0]["urls"] = [f"http://{other.host}/blob"]
    server.manifest("1", manifest)
    with pytest.raises(NotFoundError, match="HTTP 404"):
        take()
    assert other.requests == []


def test_redirects_that_are_not_followed(server: Server, take: Callable[..., Pulled], tar: bytes) -> None:
    server.image(tar)
    for target, said in (
        ("http://cdn.example/x", "plain http"),
        ("ftp://cdn.example/x", "no address"),
        ("/v2/x/manifests/1", "more than 5"),
    ):
        server.rules["manifests/1"] = lambda handler, _, target=target: reply(handler, 302, b"", {"Location": target})
        with pytest.raises(RegistryError, match=said):
            take()


def test_a_token_server_in_plain_http_elsewhere_is_not_asked(server: Server, take: Callable[..., Pulled]) -> None:
    server.rules["/v2/x"] = lambda handler, _: reply(
        handler, 401, b"", {"WWW-Authenticate": 'Bearer realm="http://auth.example/token",service="s"'}
    )
    with pytest.raises(RegistryError, match=r"plain http at auth\.example"):
        take(credential=lambda _: ANN)


def test_what_the_registry_says_is_bounded(server: Server, take: Callable[..., Pulled]) -> None:
    long = b'{"errors":[{"code":"' + b"A" * 60_000 + b'"}]}'
    for body in (b"{" * 100_000, b"[" * 60_000, long, b"\xff\xfe", b'{"errors":1}'):
        server.rules["manifests/1"] = lambda handler, _, body=body: reply(handler, 404, body)
        with pytest.raises(NotFoundError) as error:
            take()
        assert len(error.value.message) < 500


# Attacks in other shapes


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd", "FILE:/etc/passwd", "//169.254.169.254/latest", "http://169.254.169.254/latest",
        "http://plain.example/v2/x", "https://user:word@localhost/x", "gopher://localhost/x", "https://[::1/x", "https:///x",
    ],
)  # fmt: skip
@pytest.mark.parametrize("step", ["GET /v2/x/blobs/", "GET /v2/x/manifests/", "POST /v2/x/blobs/uploads"])
def test_addresses_that_are_not_followed(
    store: Store, server: Server, take: Callable[..., Pulled], image: Any, tar: bytes, location: str, step: str
) -> None:
    server.image(tar)
    status = 202 if step.startswith("POST") else 307
    server.rules[step] = lambda handler, request: reply(handler, status, b"", {"Location": location})
    with pytest.raises((RegistryError, UnreachableError), match=r"leads to|Invalid URL") as error:
        if step.startswith("GET"):
            take()
        else:
            push(store, image, f"{server.host}/x:2", settings=PATIENT)
    assert "word" not in str(error.value)
    assert "2" not in server.manifests


def test_a_redirected_upload_is_not_sent_elsewhere(store: Store, server: Server, other: Server, image: Any) -> None:
    """What is sent, and the token it is sent with, is for the registry alone."""

    def lead(handler: BaseHTTPRequestHandler, request: Request) -> None:
        handler.rfile.read(int(handler.headers.get("content-length", "0")))
        reply(handler, 307, b"", {"Location": f"http://{other.host}/v2/x/blobs/uploads/session"})

    server.rules["PUT /v2/x/blobs/uploads"] = lead
    with pytest.raises(RegistryError, match="HTTP 307"):
        push(store, image, f"{server.host}/x:1", settings=PATIENT)
    assert not other.requests


def test_a_token_server_that_redirects_is_not_followed(
    server: Server, other: Server, take: Callable[..., Pulled]
) -> None:
    """It is sent the password: that is for the address that the registry has named, and for no other."""

    def ask(handler: BaseHTTPRequestHandler, request: Request) -> None:
        realm = f"http://{server.host}/token"
        reply(handler, 401, b"", {"WWW-Authenticate": f'Bearer realm="{realm}",service="s"'})

    def lead(handler: BaseHTTPRequestHandler, request: Request) -> None:
        reply(handler, 302, b"", {"Location": f"http://{other.host}/token"})

    server.rules |= {"/v2/x": ask, "/token": lead}
    with pytest.raises(RegistryError, match="HTTP 302"):
        take(credential=lambda _: Credential("ann", "s3cret"))
    assert not other.requests


@pytest.mark.parametrize("realm", ["file:///etc/passwd", "https://169.254.169.254/", "http://127.1:1/", "", "token"])
def test_token_servers_that_are_not_asked(server: Server, take: Callable[..., Pulled], realm: str) -> None:
    def ask(handler: BaseHTTPRequestHandler, request: Request) -> None:
        reply(handler, 401, b"", {"WWW-Authenticate": f'Bearer realm="{realm}",service="s"'})

    server.rules["/v2/x"] = ask
    with pytest.raises((RegistryError, UnreachableError)):
        take(credential=lambda _: Credential("ann", "s3cret"))
    assert not any("authorization" in request.headers for request in server.requests)


def test_a_registry_that_forgets_what_it_had_is_given_up(store: Store, commit: Commit, server: Server) -> None:
    """It says after each break that it has some megabytes, and then none: no progress, however often."""
    layer = commit({"big": random.Random(1).randbytes(6 << 20)})
    image = store.put_image(ImageConfig(architecture=host_architecture()), [layer])
    told = itertools.cycle(["0-4194303", "0-0"])

    def break_off(handler: BaseHTTPRequestHandler, request: Request) -> None:
        handler.rfile.read(1 << 20)
        handler.connection.close()

    def tell(handler: BaseHTTPRequestHandler, request: Request) -> None:
        reply(handler, 204, b"", {"Range": next(told), "Location": handler.path})

    server.rules |= {"PATCH": break_off, "PUT /v2/x/blobs": break_off, "GET /v2/x/blobs/uploads": tell}
    with pytest.raises(UnreachableError, match="after 2 tries"):
        push(store, image, f"{server.host}/x:1", settings=PATIENT, compression="none")
    assert len(server.asked("POST")) < 8


def test_a_list_of_tags_without_measure(server: Server) -> None:
    many = [str(number) for number in range(900_000)]

    def pages(handler: BaseHTTPRequestHandler, request: Request) -> None:
        number = int(request.query.get("page", ["0"])[0])
        link = {"Link": f'</v2/x/tags/list?page={number + 1}>; rel="next"'}
        reply(handler, 200, json.dumps({"name": "x", "tags": many}).encode(), link)

    server.rules["/tags/list"] = pages
    with pytest.raises(UntrustedContentError, match="its list of tags is none"):
        list(list_tags(f"{server.host}/x", settings=PATIENT))
    server.rules["/tags/list"] = lambda handler, request: reply(
        handler, 200, json.dumps({"tags": ["x" * 129]}).encode()
    )
    with pytest.raises(UntrustedContentError, match="overlong"):
        list(list_tags(f"{server.host}/x", settings=PATIENT))


@pytest.mark.parametrize("wrong", ["the index within", "the manifest within"])
def test_wrong_digests_deep_in_an_index(
    server: Server, take: Callable[..., Pulled], store: Store, tar: bytes, wrong: str
) -> None:
    image = server.image(tar, tag="a")
    inner = server.manifest("b", {"manifests": [image]}, INDEX_TYPE)
    server.manifest("1", {"manifests": [inner]}, INDEX_TYPE)
    broken = inner if wrong == "the index within" else image
    media_type, data = server.manifests[broken["digest"]]
    server.manifests[broken["digest"]] = (
        media_type,
        data.replace(b'"schemaVersion": 2', b'"schemaVersion":  2')[:-1] + b" }",
    )
    with pytest.raises(UntrustedContentError, match="digest"):
        take()
    assert not left_behind(store)


def test_an_index_and_a_manifest_in_one(server: Server, take: Callable[..., Pulled], store: Store, tar: bytes) -> None:
    """What it is would be for the media type to say that it is served with, which no digest covers."""
    _, data = server.manifests[server.image(tar)["digest"]]
    document = json.loads(data) | {"manifests": []}
    del document["mediaType"]
    for served in (MANIFEST_TYPE, INDEX_TYPE):
        server.manifests["1"] = served, json.dumps(document).encode()
        with pytest.raises(UntrustedContentError, match="at once"):
            take()
    assert not left_behind(store)
