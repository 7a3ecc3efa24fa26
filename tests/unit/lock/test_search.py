"""Searching an index: a small one of our own, in each form that indexes answer in."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest

from jupyter_containers.errors import ArchiveError, CancelledError, InputError, NotFoundError, UnreachableError
from jupyter_containers.lock import search
from jupyter_containers.lock.indexes import index_urls
from jupyter_containers.lock.search import PackageIndex
from jupyter_containers.lock.settings import Settings
from jupyter_containers.spec.model import Packages

JSON = "application/vnd.pypi.simple.v1+json"

FILES = [
    ("polars-1.9.0-py3-none-any.whl", {}),
    ("polars-1.10.0.tar.gz", {"requires-python": ">=3.9"}),
    ("polars-1.10.0-py3-none-any.whl", {"requires-python": ">=3.9", "core-metadata": {"sha256": "0"}}),
    ("polars-2.0.0rc1-py3-none-any.whl", {}),
    ("polars-1.11.0-py3-none-any.whl", {"yanked": "broken"}),
    ("no version here.txt", {}),
]


class Index:
    """Answers what ``pages`` has, and remembers what it was asked."""

    def __init__(self):
        self.pages: dict[str, tuple[str, bytes]] = {}
        self.asked: list[tuple[str, dict]] = []
        self.tags: dict[str, str] = {}
        self.asked_in_vain = threading.Event()
        self.over = threading.Event()
        """Until then nothing comes of ``/slow/``."""
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                index.asked.append((self.path, dict(self.headers)))
                page = index.pages.get(self.path)
                tag = index.tags.get(self.path, "")
                if self.path.startswith("/slow/"):
                    index.asked_in_vain.set()
                    index.over.wait()
                elif page is None:
                    self.send_error(404)
                elif tag and self.headers.get("If-None-Match") == tag:
                    self.send_response(304)
                    self.end_headers()
                else:
                    kind, content = page
                    body = gzip.compress(content)
                    self.send_response(200)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Encoding", "gzip")
                    self.send_header("Content-Length", str(len(body)))
                    self.send_header("ETag", tag)
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple"

    def put(self, path, kind, content):
        self.pages[f"/simple/{path}"] = (kind, content if isinstance(content, bytes) else json.dumps(content).encode())


@pytest.fixture
def server():
    index = Index()
    files = [{"filename": name, "url": f"../../files/{name}", "hashes": {}, **more} for name, more in FILES]
    index.put("polars/", JSON, {"name": "polars", "files": files, "meta": {"api-version": "1.1"}})
    links = [f'<a href="/files/{name}#sha256=0"{_attributes(more)}>{name}</a><br>' for name, more in FILES]
    index.put("old-style/", "text/html", f"<html><body>{''.join(links).replace('polars', 'old_style')}".encode())
    metadata = b"Metadata-Version: 2.1\nName: polars\nSummary: Quick  frames\n\nThe text\n"
    for name in ("polars", "old_style"):
        index.pages[f"/files/{name}-1.10.0-py3-none-any.whl.metadata"] = ("text/plain", metadata)
    yield index
    index.over.set()
    index.server.shutdown()


def _attributes(more):
    made = ""
    if "requires-python" in more:
        made += ' data-requires-python="&gt;=3.9"'
    if "core-metadata" in more:
        made += ' data-core-metadata="sha256=0"'
    return made + (' data-yanked="broken"' if "yanked" in more else "")


@pytest.fixture
def make(server, tmp_path):
    made = []

    def make(*, urls=None, known=(), **settings):
        index = PackageIndex(urls or [server.url], tmp_path / "names", Settings(**settings), known=lambda: known)
        made.append(index)
        return index

    yield make
    for index in made:
        index.close()


@pytest.mark.parametrize("name", ["polars", "old-style"])
def test_versions(make, server, name):
    """Newest first, releases before others, what was withdrawn left out; asked for once."""
    index = make()
    found = index.find(name.upper().replace("-", "_"))
    assert found.versions == ("1.10.0", "1.9.0", "2.0.0rc1")
    assert (found.name, found.summary, found.requires_python) == (name, "Quick frames", ">=3.9")
    assert found.source == server.url
    assert index.find(name) is found
    assert len([path for path, _ in server.asked if path == f"/simple/{name}/"]) == 1


def test_no_metadata_no_summary(make, server):
    del server.pages["/files/polars-1.10.0-py3-none-any.whl.metadata"]
    assert make().find("polars").summary == ""


def test_the_first_index_that_has_it(make, server):
    other = f"{server.url}-other"
    server.pages["/simple-other/polars/"] = (JSON, b'{"files": [{"filename": "polars-9-py3-none-any.whl"}]}')
    index = make(urls=[other, server.url])
    assert index.find("polars").versions == ("9",)
    assert index.find("old-style").source == server.url


@pytest.mark.parametrize(("name", "error"), [("nothing", NotFoundError), ("a/../b", InputError), ("", InputError)])
def test_no_such_package(make, server, name, error):
    with pytest.raises(error):
        make().find(name)
    assert all(".." not in path for path, _ in server.asked)


def test_no_answer(make):
    with pytest.raises(UnreachableError, match=r"Python index 127\.0\.0\.1") as told:
        make(urls=["http://127.0.0.1:1/simple"]).find("polars")
    assert "DEBIAN" not in told.value.hint


def test_an_answer_that_makes_no_sense(make, server):
    server.put("broken/", JSON, b'{"files": 3}')
    with pytest.raises(ArchiveError, match="can't be read"):
        make().find("broken")


def test_an_answer_without_end(make, server, monkeypatch):
    monkeypatch.setattr(search, "_MOST_PAGE", 1 << 20)
    server.put("bomb/", JSON, b" " * (8 << 20))  # 8 KiB as they are sent
    with pytest.raises(ArchiveError, match="larger than 1 MiB"):
        make().find("bomb")


def test_a_password_is_not_told(make, server):
    url = server.url.replace("127.0.0.1", "user:secret@127.0.0.1")
    index = make(urls=[url])
    assert index.find("polars").source == server.url
    assert index.search("pol").source == server.url
    assert any("Authorization" in headers for _, headers in server.asked)


def names(result):
    return [item.name for item in result.items]


def test_search_without_the_list(make, server):
    """What is known here, and the name itself; the list is not fetched by the way."""
    index = make(known=("Polars-Extra", "numpy", "not_polars"))
    found = index.search("polars")
    assert names(found) == ["polars", "polars-extra", "not-polars"]
    assert (found.items[0].version, found.items[0].summary) == ("1.10.0", "Quick frames")
    assert not found.complete
    assert names(index.search("pola")) == ["polars-extra", "not-polars"]
    assert "/simple/" not in [path for path, _ in server.asked]
    for nothing in ("", "  ", "a b", "<script>", "é"):
        assert index.search(nothing).items == ()


@pytest.mark.parametrize("kind", [JSON, "text/html"])
def test_search_in_the_list(make, server, kind):
    have = ["Polars", "polars_x", "a-polars", "numpy", "<bad>", "o", "po", "xpo", "pol"]
    page = {"projects": [{"name": name} for name in have]}
    html = "".join(f'<a href="/simple/{name}/">{name}</a>' for name in have).encode()
    server.put("", kind, page if kind == JSON else html)
    server.tags["/simple/"] = '"one"'
    index = make()
    server.put("pol/", JSON, {"files": []})
    server.put("po/", JSON, {"files": []})
    assert index.fetch_names() == 8
    found = index.search("pol")
    assert (names(found), found.complete) == (["pol", "polars", "polars-x", "a-polars"], True)
    assert names(index.search("po", most=2)) == ["po", "pol"]
    assert found.items[1].version == ""
    assert make().search("polars").items[0].version == "1.10.0"
    size = len(server.asked)
    make().fetch_names()
    assert server.asked[size][1]["If-None-Match"] == '"one"'
    server.pages["/simple/"] = (JSON, b'{"projects": [{"name": "new"}]}')
    server.tags["/simple/"] = '"two"'
    make().fetch_names()
    assert names(index.search("ne")) == ["new"]


def test_a_list_that_does_not_come_is_not_waited_for(make, server):
    cancel = threading.Event()

    def leave() -> None:
        server.asked_in_vain.wait()
        cancel.set()

    thread = threading.Thread(target=leave)
    thread.start()
    with pytest.raises(CancelledError, match="list of names"):
        make(urls=[server.url.replace("simple", "slow")]).fetch_names(cancel=cancel)
    thread.join()
    assert not server.over.is_set()


def test_an_index_without_a_list(make):
    with pytest.raises(NotFoundError, match="no list"):
        make().fetch_names()


def test_offline(make, server):
    index = make(offline=True, known=("polars",))
    assert names(index.search("pol")) == ["polars"]
    with pytest.raises(UnreachableError, match="offline"):
        index.find("polars")
    assert server.asked == []


def test_an_index_that_is_a_folder(tmp_path):
    index = PackageIndex((), tmp_path, Settings(), known=lambda: ("polars",))
    assert names(index.search("pol")) == ["polars"]
    with pytest.raises(UnreachableError, match="a folder"):
        index.find("polars")


def test_which_indexes(tmp_path):
    """As uv chooses them."""
    home = {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "xdg"), "PIP_CONFIG_FILE": "/dev/null"}
    nothing = Packages()
    assert index_urls(nothing, home) == ("https://pypi.org/simple",)
    spec = msgspec.structs.replace(nothing, index_url="https://a/simple/", extra_index_urls=("https://b",))
    assert index_urls(spec, home) == ("https://b", "https://a/simple")
    more = {**home, "UV_INDEX": "inner=https://c/x https://d", "UV_DEFAULT_INDEX": "https://e"}
    assert index_urls(nothing, more) == ("https://c/x", "https://d", "https://e")
    (tmp_path / ".config" / "uv").mkdir(parents=True)
    (tmp_path / ".config" / "uv" / "uv.toml").write_text(
        '[[index]]\nurl = "https://f"\n[[index]]\nurl = "https://g"\ndefault = true\n'
    )
    assert index_urls(nothing, home) == ("https://f", "https://g")
    (tmp_path / ".config" / "uv" / "uv.toml").write_text('index-url = "file:///x"\n')
    assert index_urls(nothing, home) == ()
