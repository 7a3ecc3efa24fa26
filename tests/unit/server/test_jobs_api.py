"""``jobs``, and what starts them: transfers in both directions; ``packages``; ``prune``; terminals in containers."""

from __future__ import annotations

import asyncio
import io
import json
import re
import tarfile

import pytest
from jupyter_server.auth.authorizer import Authorizer
from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from jupyter_containers.environments import Environments
from jupyter_containers.errors import UnreachableError
from jupyter_containers.image.model import ImageConfig
from jupyter_containers.image.saving import save
from jupyter_containers.image.store import Store
from jupyter_containers.lock.search import FoundPackage, Package, SearchResult
from jupyter_containers.packages import Packages
from jupyter_containers.runtime.base import ContainerConfig
from jupyter_containers.spec.catalog import Record, record


@pytest.fixture
def image(paths):
    """An image with a layer and the name box."""
    store = Store(paths.store)
    with store.staging() as staging:
        (staging.fs / "hello").write_text("hello")
        layer = store.commit_layer(staging.fs, created_by="made by hand")
    made = store.put_image(ImageConfig(architecture="amd64"), [layer])
    store.tag("example.org/box", made.digest)
    return made


async def end(api, job):
    while True:
        _, view, _ = await api("jobs", job["id"])
        if view["state"] not in ("queued", "running"):
            return view
        await asyncio.sleep(0.01)


async def test_pull(api, monkeypatch, extension):
    _, refused, _ = await api("images", "pull", method="POST", body={"reference": "A B"})
    assert refused["reason"] == "ReferenceError"

    def fail(*arguments, **options):
        options["progress"]("layers", 1, 2)
        raise UnreachableError("no answer from registry.invalid", hint="check the name")

    monkeypatch.setattr("jupyter_containers.shipping.Shipping.pull", fail)
    status, job, headers = await api("images", "pull", method="POST", body={"reference": "registry.invalid/x"})
    assert (status, job["kind"], job["title"]) == (202, "pull", "Pull registry.invalid/x:latest")
    assert headers["Location"].endswith(f"/jobs/{job['id']}")
    ended = await end(api, job)
    assert (ended["state"], ended["error"], ended["hint"]) == (
        "failed", "no answer from registry.invalid", "check the name",
    )  # fmt: skip
    _, events, _ = await api("jobs", job["id"], "events")
    assert json.loads(re.findall(rb"^event: end\ndata: (.*)$", events, re.MULTILINE)[0]) == ended
    assert [view["id"] for view in (await api("jobs"))[1]] == [job["id"]]
    assert (await api("jobs", job["id"], method="DELETE"))[0] == 409
    assert (await api("jobs", "nothing"))[0] == 404


async def test_a_job_is_followed_and_cancelled(api, monkeypatch, jp_fetch):
    def slow(*arguments, progress, **options):
        for done in range(10_000):
            progress("layers", done, 10_000)

            import time

            time.sleep(0.005)

    monkeypatch.setattr("jupyter_containers.shipping.Shipping.pull", slow)
    _, job, _ = await api("images", "pull", method="POST", body={"reference": "x.invalid/y"})
    came = []
    fetch = jp_fetch("jupyter-containers", "api", "jobs", job["id"], "events", streaming_callback=came.append)
    following = asyncio.ensure_future(fetch)
    while b"running" not in b"".join(came):
        await asyncio.sleep(0.01)
    assert (await api("images", "pull", method="POST", body={"reference": "x.invalid/y"}))[0] == 409
    assert (await api("jobs", job["id"], method="DELETE"))[0] == 202
    await following
    last = re.findall(rb"^event: end\ndata: (.*)$", b"".join(came), re.MULTILINE)[0]
    assert json.loads(last)["state"] == "cancelled"


async def test_push(api, image, monkeypatch):
    pushed = []

    def push(self, sent, target, **options):
        pushed.append((sent.digest, target))
        raise UnreachableError("nobody there")

    monkeypatch.setattr("jupyter_containers.shipping.Shipping.push", push)
    body = {"target": "registry.invalid/x"}
    status, job, _ = await api("environments", image.digest, "push", method="POST", body=body)
    assert status == 202
    assert (await end(api, job))["error"] == "nobody there"
    assert pushed == [(image.digest, "registry.invalid/x")]
    assert (await api("environments", "nothing", "push", method="POST", body=body))[0] == 404


def archive(image, paths, tmp_path):
    save(Store(paths.store), image, tmp_path / "box.tar", reference="example.org/box:latest")
    return (tmp_path / "box.tar").read_bytes()


async def test_load_what_was_saved(api, image, paths, tmp_path, jp_fetch, extension):
    """By REST: the archive of an image goes out, the image goes, and comes in again as the same."""
    record(paths, Record(name="box", display_name="", spec_file="", image=image.digest))
    response = await jp_fetch("jupyter-containers", "api", "environments", "box", "archive")
    assert response.headers["Content-Disposition"] == 'attachment; filename="box.tar"'
    with tarfile.open(fileobj=io.BytesIO(response.body)) as tar:
        assert "index.json" in tar.getnames()
    await api("environments", "box", method="DELETE")
    assert (await api("images", image.digest, method="DELETE"))[0] == 204
    assert (await api("images"))[1] == []
    status, job, _ = await api("images", "load", method="POST", body=response.body, params={"name": "box.tar"})
    assert (status, job["kind"], job["title"]) == (202, "load", "box.tar")
    ended = await end(api, job)
    assert [item["digest"] for item in ended["result"]["images"]] == [image.digest]
    assert [view["digest"] for view in (await api("images"))[1]] == [image.digest]
    assert await no_leftovers(paths)


async def no_leftovers(paths):
    for _ in range(500):
        if not list(paths.store.glob("tmp/*")):
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.mark.parametrize(
    ("body", "status"), [(b"no archive at all", 202), (b"\0" * 3_000_000, 202), (b"", 400), (b"x" * 2_000_000, 507)]
)
async def test_files_that_are_no_archives(api, paths, body, status, monkeypatch):
    """Refused, or the job fails; nothing of it stays."""
    if status == 507:
        monkeypatch.setattr("jupyter_containers.transfers._LEFT_FREE", 1 << 60)
    got, job, _ = await api("images", "load", method="POST", body=body)
    assert got == status
    if status == 202:
        ended = await end(api, job)
        assert ended["state"] == "failed"
        assert ended["error"]
    assert await no_leftovers(paths)


async def test_a_body_that_says_nothing_of_its_length_is_bounded(api, paths, monkeypatch):
    monkeypatch.setattr(
        "jupyter_containers.transfers.disk_usage", lambda path: type("U", (), {"free": (1 << 30) + 5000})
    )

    async def produce(write):
        for _ in range(40):
            await write(b"x" * 100_000)

    with pytest.raises((HTTPClientError, OSError)):
        await _post(api, produce)
    assert await no_leftovers(paths)


async def _post(api, produce):
    status, answer, _ = await api("images", "load", method="POST", body_producer=produce)
    if status >= 400:
        raise OSError(status, answer)


async def test_who_may_not_sends_nothing(extension, jp_fetch, paths):
    """The body is not even written to a file."""
    with pytest.raises(HTTPClientError) as refused:
        await jp_fetch(
            "jupyter-containers", "api", "images", "load", method="POST", body=b"x" * 1000,
            headers={"Authorization": "token wrong"},
        )  # fmt: skip
    assert refused.value.code == 403
    assert await no_leftovers(paths)


async def test_history(api, image, jp_http_port, jp_base_url, jp_auth_header):
    # Not by jp_fetch, which would encode the percent sign.
    address = f"http://127.0.0.1:{jp_http_port}{jp_base_url}jupyter-containers/api/images/example.org%2Fbox/history"
    rows = json.loads((await AsyncHTTPClient().fetch(address, headers=jp_auth_header)).body)
    assert [(row["created_by"], row["diff_id"]) for row in rows] == [("made by hand", image.layers[0].diff_id)]
    assert (await api("images", "nothing", "history"))[0] == 404


async def test_an_image_in_use_stays(api, image, runtime):
    runtime.create(ContainerConfig(image=image.digest, argv=("x",), name="busy")).start()
    status, refused, _ = await api("images", image.digest, method="DELETE")
    assert (status, refused["reason"]) == (409, "ConflictError")


async def test_prune(api, image, paths):
    store = Store(paths.store)
    store.untag("example.org/box")
    _, would, _ = await api("prune", method="POST", body={"dry_run": True})
    assert would["removed"]
    assert would["dry_run"]
    assert (await api("images"))[1] != []
    _, done, _ = await api("prune", method="POST")
    assert (done["removed"], done["freed"]) == (would["removed"], would["freed"])
    assert (await api("images"))[1] == []


async def test_packages(api, monkeypatch):
    found = SearchResult(items=(FoundPackage(name="polars", version="1.0"),), source="https://i")
    monkeypatch.setattr(
        Packages, "search", lambda self, text: found if text == "pol" else SearchResult(source="https://i")
    )
    monkeypatch.setattr(Packages, "find", lambda self, name: Package(name=name, versions=("1.0",), source="https://i"))
    _, answer, _ = await api("packages", params={"query": "pol"})
    assert [item["name"] for item in answer["items"]] == ["polars"]
    assert (await api("packages"))[1]["items"] == []
    assert (await api("packages", "polars"))[1]["versions"] == ["1.0"]


async def test_packages_are_added_and_removed(api, spec, runtime):
    """An environment that is not built has its spec changed; the rest is tests/unit/test_packages.py's."""
    await api("environments", method="POST", body={"path": "demo"})
    status, job, _ = await api("environments", "demo", "packages", method="POST", body={"packages": ["polars"]})
    assert (status, job["kind"], job["title"]) == (202, "add", "Add polars to demo")
    assert (await end(api, job))["result"]["requirements"] == ["polars"]
    assert '"polars"' in (spec / "jupyter-container.toml").read_text()
    status, job, _ = await api("environments", "demo", "packages", "polars", method="DELETE")
    assert (status, job["kind"]) == (202, "remove")
    assert (await end(api, job))["state"] == "done"
    assert "polars" not in (spec / "jupyter-container.toml").read_text()
    runtime.create(ContainerConfig(image="sha256:0", image_name="other", argv=("x",), name="box")).start()
    body = {"packages": ["polars"], "container": "box"}
    assert (await api("environments", "demo", "packages", method="POST", body=body))[0] == 409
    assert (await api("environments", "nothing", "packages", method="POST", body=body))[0] == 404


async def test_names_are_fetched_when_it_is_asked_for(api, extension, monkeypatch):
    class Index:
        source = "https://index.invalid"

        def fetch_names(self, *, cancel):
            assert not cancel.is_set()
            return 3

    monkeypatch.setattr(Packages, "index", Index())
    status, job, _ = await api("packages", "names", method="POST")
    assert (status, job["kind"]) == (202, "names")
    assert (await end(api, job))["result"] == {"names": 3, "source": "https://index.invalid"}


async def test_known_names_are_those_of_the_user_s_locks(paths, runtime, tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "jupyter-container.lock").write_text('[[python.packages]]\nname = "zarr"\nversion = "3"\n')
    record(paths, Record(name="a", display_name="", spec_file=str(folder)))
    record(paths, Record(name="b", display_name="", spec_file=str(tmp_path / "gone")))
    known = list(Environments(paths, runtime).packages._known())
    assert known[0] == "zarr"
    assert "scikit-learn" in known


async def test_commit(api, image, runtime):
    box = runtime.create(ContainerConfig(image=image.digest, image_name="box", argv=("sh",), name="one"))
    box.start()
    box.files = {"/work/result": b"42"}
    status, job, _ = await api("containers", "one", "commit", method="POST", body={"name": "example.org/made"})
    assert (status, job["kind"]) == (202, "commit")
    ended = await end(api, job)
    assert ended["result"]["reference"] == "example.org/made:latest"
    _, rows, _ = await api("images", ended["result"]["digest"], "history")
    assert len(rows) == 2
    assert (await api("containers", "one", "commit", method="POST", body={"name": "A B"}))[0] == 400


@pytest.fixture
def terminals(jp_serverapp, monkeypatch):
    """What terminals were asked for; none is opened."""
    asked = []

    class Terminals:
        def create(self, **options):
            asked.append(options)
            return {"name": "7"}

    monkeypatch.setitem(jp_serverapp.web_app.settings, "terminal_manager", Terminals())
    monkeypatch.setitem(jp_serverapp.web_app.settings, "terminals_available", True)
    return asked


async def test_terminal(api, runtime, terminals):
    box = runtime.create(ContainerConfig(image="sha256:0", argv=("x",), name="box"))
    status, refused, _ = await api("containers", "box", "terminal", method="POST")
    assert (status, refused["reason"]) == (409, "ConflictError")
    box.start()
    status, made, _ = await api("containers", "box", "terminal", method="POST")
    assert (status, made) == (201, {"name": "7"})
    assert terminals[0]["shell_command"][2:6] == ["jupyter_containers", "exec", "-it", box.id]
    assert (await api("containers", "nothing", "terminal", method="POST"))[0] == 404


async def test_terminal_of_a_server_that_has_none(api, runtime, terminals, jp_serverapp, monkeypatch):
    runtime.create(ContainerConfig(image="sha256:0", argv=("x",), name="box")).start()
    monkeypatch.setitem(jp_serverapp.web_app.settings, "terminals_available", False)
    status, refused, _ = await api("containers", "box", "terminal", method="POST")
    assert (status, refused["reason"]) == (503, "HostError")
    assert "terminals_enabled" in refused["hint"]


class NoTerminals(Authorizer):
    def is_authorized(self, handler, user, action, resource):
        return resource != "terminals"


class TestAuthorizer:
    @pytest.fixture
    def jp_server_config(self, jp_server_config):
        jp_server_config["ServerApp"]["authorizer_class"] = NoTerminals
        return jp_server_config

    async def test_who_may_open_no_terminal(self, api, runtime, terminals):
        runtime.create(ContainerConfig(image="sha256:0", argv=("x",), name="box")).start()
        assert (await api("containers", "box", "terminal", method="POST"))[0] == 403
        assert terminals == []
