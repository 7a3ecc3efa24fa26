"""Notebook 7: the same extension on its pages, of files and of one notebook each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labs import Lab, Screen

pytest.importorskip("notebook", reason="Notebook is not installed")

pytestmark = [pytest.mark.slow, pytest.mark.network]


@pytest.fixture(scope="module")
def notebook(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """`jupyter notebook` in the folder, and with the environments, of the other tests' JupyterLab."""
    home, runtime = (Path(lab.env[f"JUPYTER_CONTAINERS_{name}"]) for name in ("HOME", "RUNTIME_DIR"))
    server = Lab(tmp_path_factory.mktemp("notebook"), home, runtime, app="notebook")
    server.root = lab.root
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def files(browser: Any, notebook: Lab) -> Iterator[Screen]:
    """The page of files."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(30_000)
    screen = Screen(context.new_page(), notebook)
    screen.page.goto(f"{notebook.url}/tree?token={notebook.token}")
    screen.page.locator(".jp-DirListing-item").first.wait_for()
    yield screen
    context.close()
    notebook.end_kernels()


def show_panel(screen: Screen) -> None:
    screen.execute("jupyter-containers:show-panel")
    screen.page.wait_for_selector("#jupyter-containers:visible")


def test_from_the_page_of_files_to_a_cell_and_its_status(files, shoot_page):
    page = files.page
    page.locator(".lm-MenuBar-item", has_text="View").click()
    page.locator(".lm-Menu-item", has_text="Left Sidebar").hover()
    page.locator(".lm-Menu-item", has_text="Show Containers").click()
    files.row("environments", "physics").wait_for()
    shoot_page("notebook7-files", files)

    with page.context.expect_page() as opened:
        files.row("environments", "physics").get_by_label("Start a Notebook").click()
    screen = Screen(opened.value, files.lab)
    errors: list[str] = []
    screen.page.on("pageerror", lambda error: errors.append(str(error)))
    assert screen.run_cell("import six, sys; print('six', sys.prefix)").startswith("six /opt/venv")
    status = screen.page.locator("#menu-panel").get_by_text("Physics 1 · ")
    status.get_by_text("CPU").wait_for()
    status.click()  # to its container
    running = screen.section("running").locator("li").first
    running.get_by_text("Untitled").wait_for()
    shoot_page("notebook7", screen)
    assert screen.find_violations("#jupyter-containers") == []

    screen.execute("notebook:change-kernel")
    options = screen.page.locator(".jp-Dialog-content optgroup").first
    assert options.get_attribute("label") == "Start in an Environment"
    assert "Physics 1 — ready" in options.inner_text()
    screen.press_in_dialog("Escape")
    running.get_by_label("Stop…").click()
    screen.accept()
    screen.section("running").get_by_text("Nothing runs.").wait_for()
    assert errors == []


def test_logs_and_specs_stand_beside_the_files_and_notices_come(files):
    page = files.page
    show_panel(files)
    files.row("environments", "failing").get_by_label("Build", exact=True).click()
    page.locator(".jp-Containers-log:visible").get_by_text("The build of failing failed").wait_for(timeout=90_000)
    page.locator(".Toastify__toast", has_text="The build of failing failed").wait_for()
    page.locator(".jp-Containers-log").get_by_role("button", name="Edit the spec").click()
    spec = page.locator(".jp-Containers-spec:visible")
    spec.locator(".cm-content", has_text="exit 3").wait_for()
    spec.get_by_text("Nothing is wrong with it.").wait_for()
    page.get_by_role("button", name="Save", exact=True).click()
    page.locator(".Toastify__toast", has_text="is saved").wait_for()
    page.keyboard.press("Control+Shift+C")
    page.locator("#modal-command-palette input").fill("containers environment")
    page.locator("#modal-command-palette [data-command='jupyter-containers:build']").wait_for()


def test_a_log_stands_below_the_notebook(files, notebook):
    screen = Screen(files.page, notebook)
    (notebook.root / "empty.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    screen.page.goto(f"{notebook.url}/notebooks/empty.ipynb")
    screen.page.locator(".jp-NotebookPanel").wait_for()
    screen.execute("jupyter-containers:build", environment="failing")
    log = screen.page.locator("#jp-down-stack .jp-Containers-log:visible")
    log.get_by_text("The build of failing failed").wait_for(timeout=90_000)
    assert log.bounding_box()["height"] >= 240
    screen.execute("jupyter-containers:edit-spec", environment="failing")
    screen.page.locator("#jp-down-stack .jp-Containers-spec:visible").wait_for()
    (notebook.root / "empty.ipynb").unlink()


def test_what_was_chosen_among_the_files_holds_in_the_page_of_the_notebook(files, notebook):
    """It has a page of its own, and yet it is new: its user is asked at once, and its limits stand in it."""
    folder = notebook.root / "chosen"
    folder.mkdir()
    text = 'name = "chosen"\n[packages]\npip = ["six"]\n[build]\nrun = ["true"]\n'
    (folder / "jupyter-container.toml").write_text(text)
    show_panel(files)
    files.menu(files.row("environments", "chosen"), "Start a Notebook With Limits…")
    files.page.locator(".jp-Dialog-content").get_by_label("Memory", exact=True).fill("0.5")
    with files.page.context.expect_page() as opened:
        files.accept()
    screen = Screen(opened.value, files.lab)
    dialog = screen.page.locator(".jp-Dialog-content")
    dialog.get_by_text("Build chosen?").wait_for()
    dialog.get_by_role("button", name="Cancel").click()
    banner = screen.page.locator(".jp-Containers-banner")
    banner.get_by_text("waits for chosen, which is not built before you have agreed").last.wait_for()
    kept = "() => window.jupyterapp.shell.currentWidget.context.model.getMetadata('jupyter_containers')"
    assert screen.page.evaluate(kept) == {"limits": {"memory": "512M"}}
    assert files.page.locator(".jp-Dialog").count() == 0  # it is asked where it is seen
    (folder / "jupyter-container.toml").unlink()
