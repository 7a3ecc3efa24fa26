"""``environments``: make known, list, show, forget; and how errors read."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from jupyter_containers.runtime.base import ContainerConfig
from jupyter_containers.spec.catalog import find_record, record


async def test_spec_by_path(api, spec):
    status, made, headers = await api("environments", method="POST", body={"path": "demo"})
    assert (status, made["name"], made["state"]) == (201, "demo", "not built")
    assert made["spec_file"] == str(spec)
    assert headers["Location"].endswith("/jupyter-containers/api/environments/demo")
    assert await _names(api) == ["demo"]
    status, shown, _ = await api("environments", "demo")
    assert (status, shown) == (200, made)


async def test_spec_as_text(api, paths):
    text = 'name = "from-text"\n'
    status, made, _ = await api("environments", method="POST", body={"text": text})
    assert (status, made["name"]) == (201, "from-text")
    assert (Path(made["spec_file"]) / "jupyter-container.toml").read_text() == text
    status, refused, _ = await api("environments", method="POST", body={"text": text})
    assert (status, refused["reason"]) == (409, "ConflictError")
    assert refused["hint"]
    assert not [entry for entry in (paths.home / "specs").iterdir() if entry.name.startswith(".")]


async def test_text_with_mistakes_names_each(api, paths):
    text = 'name = "x"\nnetwrok = "full"\npython = 3\n'
    status, refused, _ = await api("environments", method="POST", body={"text": text})
    assert (status, refused["reason"]) == (400, "SpecError")
    assert {problem["key"] for problem in refused["problems"]} == {"netwrok", "python"}
    assert {problem["file"] for problem in refused["problems"]} == {"jupyter-container.toml"}
    assert all(problem["line"] in (2, 3) for problem in refused["problems"])
    assert str(paths.home) not in str(refused)
    assert await _names(api) == []


async def test_forget(api, spec):
    await api("environments", method="POST", body={"path": "demo"})
    status, _, _ = await api("environments", "demo", method="DELETE")
    assert status == 204
    assert await _names(api) == []
    assert (spec / "jupyter-container.toml").exists()


async def test_image_in_use_is_not_removed(api, spec, runtime, paths):
    await api("environments", method="POST", body={"path": "demo"})
    entry = find_record(paths, "demo")
    record(paths, msgspec.structs.replace(entry, image="sha256:" + "0" * 64))
    runtime.create(ContainerConfig(image="sha256:" + "0" * 64, image_name="demo", argv=("x",), name="busy")).start()
    status, refused, _ = await api("environments", "demo", method="DELETE", params={"image": "true"})
    assert status == 409
    assert "busy" in refused["message"]
    _, shown, _ = await api("environments", "demo")
    assert (shown["containers"], shown["state"]) == (1, "broken")
    assert (await api("environments", "demo", method="DELETE"))[0] == 204


async def test_specs_of_the_root_folder_are_offered(api, spec, builder, extension, jp_root_dir):
    """As the launcher offers them: not built, and built by their name."""
    extension.service.environments.directory.root = jp_root_dir
    (offered,) = (await api("environments"))[1]
    assert (offered["name"], offered["known"], offered["state"]) == ("demo", False, "not built")
    assert offered["spec_file"] == str(spec)
    assert (await api("environments", "demo"))[1] == offered
    assert (await api("environments", "demo", "spec"))[0] == 200
    builder.go.set()
    _, build, _ = await api("builds", method="POST", body={"environment": "demo"})
    while not (await api("environments"))[1][0]["known"]:
        await asyncio.sleep(0.01)
    assert (await api("builds", build["id"]))[1]["environment"] == "demo"


@pytest.mark.parametrize("name", ["nothing", "..", "%2e%2e%2fetc", "a%2Fb"])
async def test_unknown_name(api, name):
    status, refused, _ = await api("environments", name)
    assert (status, refused["reason"]) == (404, "NotFoundError")
    assert "Traceback" not in str(refused)


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b"", ""),
        (b"{", ""),
        (b"\xff\xfe", ""),
        (b"[]", ""),
        ({"path": 3}, "path"),
        ({"path": "a", "text": "b"}, ""),
        ({"path": "demo", "other": 1}, ""),
    ],
)
async def test_body_that_is_not_valid(api, body, key):
    status, refused, _ = await api("environments", method="POST", body=body)
    assert (status, refused["reason"]) == (400, "InputError")
    assert [problem["key"] for problem in refused["problems"]] == [key]
    assert refused["problems"][0]["cause"]


async def test_body_that_is_too_long(api):
    status, refused, _ = await api("environments", method="POST", body=b" " * ((1 << 20) + 1))
    assert status == 413
    assert "1048576" in refused["message"]


async def test_path_that_is_not_there(api):
    status, refused, _ = await api("environments", method="POST", body={"path": "no/such/folder"})
    assert status in (400, 404)
    assert "no/such/folder" in refused["message"] + str(refused["problems"])


async def test_query_that_is_not_valid(api, spec):
    await api("environments", method="POST", body={"path": "demo"})
    status, refused, _ = await api("environments", "demo", method="DELETE", params={"image": "yes"})
    assert (status, refused["problems"][0]["key"]) == (400, "image")
    assert await _names(api) == ["demo"]


async def _names(api) -> list[str]:
    status, listed, _ = await api("environments")
    assert status == 200
    return [entry["name"] for entry in listed]
