"""Notebooks that carry their environment: written into them here, opened in a home that has never seen it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labs import Lab, Screen, forget_all

from jupyter_containers.environments import Environments
from jupyter_containers.paths import Paths

pytestmark = [pytest.mark.slow, pytest.mark.network]

KEY = "jupyter_containers"


@pytest.fixture(scope="module")
def away(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A second server on a home of its own, which has nothing but what was downloaded for the first."""
    here = Path(lab.env["JUPYTER_CONTAINERS_HOME"])
    home = here.with_name(f"{here.name}-away")
    if not home.exists():
        home.mkdir(mode=0o700)
        cache = here / "store" / "cache"
        shutil.copytree(cache, home / "store" / "cache", copy_function=os.link, ignore=shutil.ignore_patterns("lock"))
    runtime = Path(tempfile.mkdtemp(prefix="jc-", dir="/tmp"))
    paths = Paths(home, runtime).made()
    forget_all(paths)
    with Environments(paths) as environments:
        environments.storage.prune()  # the layers of an earlier run: this one builds
    server = Lab(tmp_path_factory.mktemp("away"), home, runtime)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture
def there(browser: Any, away: Lab) -> Iterator[Screen]:
    """JupyterLab of the second server."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(30_000)
    screen = Screen(context.new_page(), away)
    screen.open()
    yield screen
    context.close()
    away.end_kernels()


def write_notebook(lab: Lab, name: str, *, kernel: str, carried: object = None) -> Path:
    """A notebook with one empty cell in the root folder of *lab*."""
    metadata: dict[str, Any] = {"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}}
    if carried is not None:
        metadata[KEY] = carried
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "execution_count": None, "outputs": [], "source": ""}
    path = lab.root / name
    path.write_text(json.dumps({"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))
    return path


def open_notebook(screen: Screen, path: Path) -> Any:
    screen.execute("docmanager:open", path=path.name)
    panel = screen.page.locator(".jp-NotebookPanel:visible")
    panel.locator(".jp-Cell").first.wait_for()
    return panel


def save(screen: Screen, path: Path) -> dict[str, Any]:
    """Save the notebook in front; what its file has then. JupyterLab asks nothing meanwhile."""
    screen.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    screen.page.wait_for_function("!window.jupyterapp.shell.currentWidget.context.model.dirty")
    assert screen.page.locator(".jp-Dialog").count() == 0
    metadata = json.loads(path.read_text())["metadata"]
    assert isinstance(metadata, dict)
    return metadata


def toast(screen: Screen, text: str) -> Any:
    return screen.page.locator(".Toastify__toast", has_text=text).first


def test_it_is_written_through_the_notebook_and_taken_out_again(screen, lab, shoot):
    path = write_notebook(lab, "mine.ipynb", kernel="jc-physics", carried={"limits": {"pids": 200}})
    panel = open_notebook(screen, path)
    screen.wait_for_kernel()
    button = panel.locator(".jp-Containers-containerise")
    assert (button.get_attribute("aria-label"), button.get_attribute("aria-pressed")) == ("Containerise", "false")
    button.click()
    toast(screen, "The notebook carries Physics 1: spec and lock").wait_for()
    shoot("containerised")
    carried = save(screen, path)[KEY]
    image = lab.environment("physics")["image"]
    assert (carried["name"], carried["digest"], carried["limits"]) == ("physics", image, {"pids": 200})
    assert 'name = "physics"' in carried["spec"]
    assert carried["lock"]

    # Nobody has changed the file but the notebook itself: it is saved again without a question.
    panel.locator(".jp-Cell .cm-content").first.click()
    screen.page.keyboard.insert_text("1 + 1")
    assert save(screen, path)[KEY] == carried

    button.click()
    dialog = screen.page.locator(".jp-Dialog-content")
    dialog.get_by_text("This is Physics 1 as it is now.").wait_for()
    shoot("carried", ".jp-Dialog-content")
    assert screen.find_violations(".jp-Dialog-content") == []
    dialog.get_by_role("button", name="Update").click()
    toast(screen, "The notebook carries Physics 1").wait_for()
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    dialog.get_by_role("button", name="Take It Out").click()
    toast(screen, "carries no environment any more").wait_for()
    assert save(screen, path)[KEY] == {"limits": {"pids": 200}}


def test_it_asks_which_environment_where_the_kernel_is_no_container(screen, lab):
    path = write_notebook(lab, "plain.ipynb", kernel="python3")
    panel = open_notebook(screen, path)
    screen.wait_for_kernel()
    panel.locator(".jp-Containers-containerise").click()
    dialog = screen.page.locator(".jp-Dialog-content")
    dialog.get_by_text("Which environment?").wait_for()
    assert screen.find_violations(".jp-Dialog-content") == []
    dialog.locator("select").select_option(label="Physics 1")
    screen.accept()
    toast(screen, "The notebook carries Physics 1").wait_for()
    assert save(screen, path)[KEY]["name"] == "physics"


def test_one_that_is_not_valid_says_what_is_wrong(screen, lab, shoot):
    carried = lab.api("POST", "notebooks/carry", {"environment": "physics"})["metadata"]
    path = write_notebook(lab, "broken.ipynb", kernel="jc-physics", carried=carried | {"digest": "md5:1"})
    panel = open_notebook(screen, path)
    told = panel.locator(".jp-Containers-banner", has_text="What this notebook carries is no environment")
    told.get_by_text("digest — ").wait_for()
    screen.wait_for_kernel()  # its own kernel is another matter
    shoot("carried-invalid")
    assert screen.find_violations(".jp-Containers-banner") == []
    told.get_by_role("button", name="Dismiss").click()
    told.wait_for(state="hidden")


def test_nothing_runs_before_its_user_agrees_and_then_it_is_the_same_image(lab, away, there, shoot_page):
    page = there.page
    carried = lab.api("POST", "notebooks/carry", {"environment": "physics"})["metadata"]
    path = write_notebook(away, "from-elsewhere.ipynb", kernel="jc-physics", carried=carried)
    panel = open_notebook(there, path)
    dialog = page.locator(".jp-Dialog-content")
    dialog.get_by_text("Trust this notebook’s environment?").wait_for()
    assert "Python packages from" in dialog.inner_text()
    shoot_page("trust", there, ".jp-Dialog-content")
    assert there.find_violations(".jp-Dialog-content") == []
    there.press_in_dialog("Enter")  # meant for something else: it agrees to nothing
    told = panel.locator(".jp-Containers-banner", has_text="Nothing of physics, which this notebook brings along")
    told.wait_for()
    shoot_page("trust-refused", there)
    assert there.find_violations(".jp-Containers-banner") == []

    # Asked once: opened again, and after a reload of the page, it is quiet, and nothing runs.
    for again in ("opened", "reloaded"):
        with page.expect_response("**/notebooks/check*") as checked:
            if again == "opened":
                # As it is on disk: a notebook without a kernel is changed by its page (what its kernel is called).
                page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
                page.wait_for_function("!window.jupyterapp.shell.currentWidget.context.model.dirty")
                page.evaluate("window.jupyterapp.shell.currentWidget.close()")
                panel.wait_for(state="detached")
                open_notebook(there, path)
            else:
                there.open(reset=False)
        assert checked.value.json()["state"] == "missing"
        told.wait_for()
        assert dialog.count() == 0
    assert (away.api("GET", "jobs"), away.api("GET", "environments"), away.api("GET", "sessions")) == ([], [], [])
    assert away.api("GET", "images") == []

    there.execute("jupyter-containers:open-notebook-environment")
    there.press_in_dialog("Escape")
    told.get_by_role("button", name="Open Its Environment…").click()
    dialog.get_by_role("button", name="Trust and Open").click()
    panel.locator(".jp-Containers-banner", has_text="The environment of this notebook is being made.").wait_for()
    page.locator(".jp-Containers-log").get_by_text("physics is being built").wait_for()
    shoot_page("opening", there)
    toast(there, "built, the very image that the notebook was made with").wait_for(timeout=180_000)
    panel.click()
    assert there.run_cell("import six, sys; print('six', sys.prefix)").startswith("six /opt/venv")
    opened = away.environment("physics")
    assert opened["image"] == carried["digest"] == lab.environment("physics")["image"]
    assert away.api("GET", "sessions")[0]["kernel"]["name"] == "jc-physics"
