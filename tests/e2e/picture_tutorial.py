"""The steps of docs/tutorial.md, from an empty store to a notebook that carries its environment to a colleague.

``scripts/screenshots -k tutorial`` takes them; it is no test of its own.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from labs import Lab, Screen, forget_all

from jupyter_containers.environments import Environments
from jupyter_containers.paths import Paths

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

REQUIREMENTS = "pandas\nmatplotlib\n"
DATA = "city,january,july\nOslo,-4,18\nLisbon,12,24\nNairobi,20,17\nSydney,24,13\n"
CELL = """\
import pandas as pd

cities = pd.read_csv("temperatures.csv", index_col="city")
cities.plot.bar(title="Mean temperature (°C)", rot=0, figsize=(7, 3));"""


@contextmanager
def computer(name: str, root: Path, folder: Path) -> Iterator[Lab]:
    """A JupyterLab on a store in which nothing is but what was downloaded before."""
    home = Path.home() / ".local" / "share" / "jupyter" / name
    runtime = Path(tempfile.mkdtemp(prefix="jc-", dir="/tmp"))
    paths = Paths(home, runtime).made()
    forget_all(paths)
    with Environments(paths) as environments:
        environments.storage.prune(dry_run=False)  # so that there is something to build
    lab = Lab(folder, home, runtime)
    lab.root = root
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    try:
        lab.start()
        yield lab
    finally:
        lab.stop()
        shutil.rmtree(runtime, ignore_errors=True)


def visit(browser: Any, lab: Lab) -> Screen:
    context = browser.new_context(viewport={"width": 1200, "height": 750})
    context.set_default_timeout(60_000)
    screen = Screen(context.new_page(), lab)
    screen.open()
    return screen


def test_tutorial(browser: Any, tmp_path: Path, shoot_page: Callable[..., None]) -> None:
    def shoot(step: int, name: str, screen: Screen, selector: str = "") -> None:
        shoot_page(f"tutorial-{step:02}-{name}", screen, selector)

    with ExitStack() as stack:
        mine = stack.enter_context(computer("containers-mine", Path.home() / "weather", tmp_path / "mine"))
        (mine.root / "requirements.txt").write_text(REQUIREMENTS)
        (mine.root / "temperatures.csv").write_text(DATA)
        screen = visit(browser, mine)
        page = screen.page
        screen.section("host").locator(".jp-Containers-findings").wait_for()
        shoot(1, "open", screen)

        screen.section("environments").get_by_role("button", name="New environment…").click()
        dialog = page.locator(".jp-Dialog")
        dialog.locator("input[value=file]").check()
        shoot(2, "new", screen)
        screen.accept()

        spec = page.locator(".jp-Containers-spec")
        expect(spec.get_by_label("name", exact=True)).to_have_value("weather", timeout=60_000)
        spec.get_by_text("Nothing is wrong with it.").wait_for()
        shoot(3, "spec", screen)
        page.get_by_role("button", name="Save and Build").click()

        log = page.locator(".jp-Containers-log")
        log.get_by_text("weather is being built").wait_for()
        page.wait_for_timeout(4000)
        shoot(4, "building", screen)
        log.get_by_text("weather is ready").wait_for(timeout=400_000)
        if not page.evaluate("window.jupyterapp.commands.isToggled('jupyter-containers:follow-log')"):
            screen.execute("jupyter-containers:follow-log")  # another theme has other heights: the end was lost
        shoot(5, "ready", screen)
        log.get_by_role("button", name="Start a notebook").click()

        screen.wait_for_kernel()
        page.evaluate("window.jupyterapp.shell.currentWidget.context.rename('cities.ipynb')")
        cell = page.locator(".jp-NotebookPanel:visible .jp-Notebook .jp-Cell").first
        cell.locator(".cm-content").click()
        page.keyboard.insert_text(CELL)
        page.keyboard.press("Shift+Enter")
        cell.locator(".jp-OutputArea-output img").wait_for()
        page.wait_for_timeout(15_000)  # a line of a few measurements
        shoot(6, "cell", screen)

        page.locator(".jp-NotebookPanel:visible .jp-Containers-containerise").click()
        page.locator(".Toastify__toast", has_text="The notebook carries").first.wait_for()
        shoot(7, "containerise", screen)
        page.evaluate("window.jupyterapp.shell.currentWidget.context.save()")
        page.wait_for_function("!window.jupyterapp.shell.currentWidget.context.model.dirty")

        theirs = stack.enter_context(computer("containers-theirs", Path.home() / "received", tmp_path / "theirs"))
        for name in ("cities.ipynb", "temperatures.csv"):
            shutil.copy(mine.root / name, theirs.root)
        there = visit(browser, theirs)
        there.execute("docmanager:open", path="cities.ipynb")
        question = there.page.locator(".jp-Dialog-content")
        question.get_by_text("Trust this notebook’s environment?").wait_for()
        shoot(8, "trust", there)
        question.get_by_role("button", name="Trust and Open").click()
        there.page.locator(".Toastify__toast", has_text="the very image").first.wait_for(timeout=400_000)
        there.wait_for_kernel()
        shoot(9, "opened", there)
        mine.end_kernels()
        theirs.end_kernels()
