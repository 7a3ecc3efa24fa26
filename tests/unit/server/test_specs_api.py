"""``schema``, ``specs`` and ``environments/NAME/spec``: texts are shown, checked and written as the user has them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jupyter_containers.spec.schema import json_schema

TEXT = '# mine\nname = "demo"  # the name\n\n[packages]\npip = [\n  "numpy",  # arrays\n]\n'


async def known(api, spec, text=TEXT):
    (spec / "jupyter-container.toml").write_text(text)
    await api("environments", method="POST", body={"path": "demo"})
    return (await api("environments", "demo", "spec"))[1]


async def test_schema(api):
    assert (await api("schema"))[1] == json.loads(json.dumps(json_schema()))


async def test_text_is_shown_and_written(api, spec):
    shown = await known(api, spec)
    assert shown["text"] == TEXT
    assert (shown["path"], shown["editable"]) == (str(spec / "jupyter-container.toml"), True)
    text = TEXT.replace("numpy", "scipy")
    body = {"text": text, "version": shown["version"]}
    status, written, _ = await api("environments", "demo", "spec", method="PUT", body=body)
    assert (status, written["text"]) == (200, text)
    assert (spec / "jupyter-container.toml").read_text() == text
    assert [file.name for file in spec.iterdir()] == ["jupyter-container.toml"]

    status, refused, _ = await api("environments", "demo", "spec", method="PUT", body=body)
    assert (status, refused["reason"]) == (409, "ConflictError")


@pytest.mark.parametrize(
    ("text", "key"), [('name = "demo"\nnetwrok = 1\n', "netwrok"), ('name = "other"\n', "name"), ("name = ", "")]
)
async def test_a_text_that_is_not_valid_is_not_written(api, spec, text, key):
    shown = await known(api, spec)
    body = {"text": text, "version": shown["version"]}
    status, refused, _ = await api("environments", "demo", "spec", method="PUT", body=body)
    assert (status, refused["reason"]) == (400, "SpecError")
    assert [(problem["file"], problem["key"]) for problem in refused["problems"]] == [("jupyter-container.toml", key)]
    assert (spec / "jupyter-container.toml").read_text() == TEXT


async def test_a_spec_that_is_broken_is_shown(api, spec):
    await known(api, spec)
    (spec / "jupyter-container.toml").write_text("name = ")
    status, shown, _ = await api("environments", "demo", "spec")
    assert (status, shown["text"], shown["editable"]) == (200, "name = ", True)


async def test_a_link_out_of_the_folder_is_not_read(api, spec, tmp_path):
    await known(api, spec)
    (tmp_path / "secret").write_text("the secret")
    (spec / "jupyter-container.toml").unlink()
    (spec / "jupyter-container.toml").symlink_to(tmp_path / "secret")
    status, refused, _ = await api("environments", "demo", "spec")
    assert status == 400
    assert "the secret" not in str(refused)


async def test_another_tools_file_is_edited_in_place(api, jp_root_dir):
    folder = jp_root_dir / "other"
    folder.mkdir()
    (folder / "requirements.txt").write_text("numpy  # arrays\n")
    await api("environments", method="POST", body={"path": "other"})
    _, shown, _ = await api("environments", "other", "spec")
    assert (Path(shown["path"]).name, shown["text"]) == ("requirements.txt", "numpy  # arrays\n")
    body = {"text": "numpy\n==\n", "version": shown["version"]}
    status, refused, _ = await api("environments", "other", "spec", method="PUT", body=body)
    assert status == 400
    assert refused["problems"][0]["line"] == 2
    body["text"] = "numpy\nscipy\n"
    assert (await api("environments", "other", "spec", method="PUT", body=body))[0] == 200


async def test_check(api, spec, paths):
    _, checked, _ = await api("specs", "check", method="POST", body={"text": 'pyhton = "3.13"\n[packages]\npip = [1]'})
    assert checked["spec"] is None
    assert {(item["file"], item["line"], item["key"]) for item in checked["problems"]} == {
        ("jupyter-container.toml", 1, "pyhton"),
        ("jupyter-container.toml", 3, "packages.pip[0]"),
    }
    assert checked["problems"][0]["remedy"] == "Did you mean `python`?"
    assert checked["document"] == {"pyhton": "3.13", "packages": {"pip": [1]}}
    assert (await api("specs", "check", method="POST", body={"text": "a = "}))[1]["document"] is None
    _, checked, _ = await api("specs", "check", method="POST", body={"text": "", "folder": "demo"})
    assert (checked["problems"], checked["spec"]) == ([], {"name": "demo"})
    (spec / "more.txt").write_text("scipy\n")
    body = {"text": '[packages]\npip = ["-r more.txt"]\n', "folder": "demo"}
    assert (await api("specs", "check", method="POST", body=body))[1]["spec"]["packages"] == {"pip": ["scipy"]}
    assert not (paths.home / "specs").exists()
    status, checked, _ = await api("specs", "check", method="POST", body={"text": "", "folder": "nowhere"})
    assert (status, checked["problems"][0]["cause"]) == (200, "does not exist")


async def test_text_into_a_folder(api, jp_root_dir):
    folder = jp_root_dir / "project"
    folder.mkdir()
    body = {"text": '# mine\nname = "project"\n', "folder": "project"}
    status, made, _ = await api("environments", method="POST", body=body)
    assert (status, made["spec_file"]) == (201, str(folder))
    assert (folder / "jupyter-container.toml").read_text() == body["text"]
    assert (folder / "jupyter-container.toml").stat().st_mode & 0o777 == 0o644
    status, refused, _ = await api("environments", method="POST", body=body)
    assert (status, refused["reason"]) == (409, "ConflictError")
    (jp_root_dir / "second").mkdir()
    status, refused, _ = await api("environments", method="POST", body={**body, "folder": "second"})
    assert status == 409
    assert not (jp_root_dir / "second" / "jupyter-container.toml").exists()


async def test_drafts(api, jp_root_dir):
    folder = jp_root_dir / "work"
    folder.mkdir()
    cell = {"cell_type": "code", "source": "import cv2, os", "metadata": {}, "outputs": []}
    for name, source in (("a.ipynb", "import cv2, os"), ("b.ipynb", "import numpy")):
        cells = [{**cell, "source": source}]
        (folder / name).write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    (folder / "requirements.txt").write_text("polars>=1\n")
    (folder / "Dockerfile").write_text("FROM debian:trixie\n")

    async def draft(**body):
        status, made, _ = await api("specs", "draft", method="POST", body=body)
        assert status == 200, made
        assert made["folder"] == str(folder)
        return made

    made = await draft(notebook="work/a.ipynb")
    assert made["found"] == ["opencv-python-headless: import cv2 (a.ipynb)"]
    assert 'name = "a"' in made["text"]
    made = await draft(file="work/requirements.txt", name="mine")
    assert made["found"] == ["polars>=1: requirements.txt"]
    assert 'name = "mine"' in made["text"]
    made = await draft(folder="work")
    assert "polars>=1" in made["text"]
    assert "numpy" in made["text"]
    made = await draft(file="work/Dockerfile")
    assert 'dockerfile = "Dockerfile"' in made["text"]
    made = await draft(image="docker.io/library/r-base:4", folder="work")
    assert 'base = "image:docker.io/library/r-base:4"' in made["text"]
    assert 'name = "r-base"' in made["text"]
    for body in ({"file": "work/nothing.txt"}, {"image": "A B"}, {"file": "work/a", "folder": "work"}, {}):
        assert (await api("specs", "draft", method="POST", body=body))[0] == 400, body


async def test_edit(api):
    changes = [
        {"key": ["packages", "pip"], "value": ["numpy", "scipy"]},
        {"key": ["resources", "memory"], "value": "2G"},
    ]
    _, edited, _ = await api("specs", "edit", method="POST", body={"text": TEXT, "changes": changes})
    assert edited["text"] == (
        '# mine\nname = "demo"  # the name\n\n[packages]\npip = [\n  "numpy",  # arrays\n  "scipy",\n]\n'
        '\n[resources]\nmemory = "2G"\n'
    )
    status, refused, _ = await api("specs", "edit", method="POST", body={"text": "a = ", "changes": []})
    assert (status, refused["reason"]) == (400, "SpecError")


async def test_lock_of_an_environment_that_has_none(api, spec):
    await known(api, spec)
    _, changes, _ = await api("environments", "demo", "lock")
    assert changes["added"] == changes["removed"] == changes["changed"] == []
    assert "there is no jupyter-container.lock yet" in changes["reasons"][0]
