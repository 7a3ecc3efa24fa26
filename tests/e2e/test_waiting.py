"""A notebook whose environment is not there: it waits in sight, asks, tells what failed, and runs after all."""

from __future__ import annotations

import contextlib
import json
import secrets
import urllib.error
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.network]

SIX = '[packages]\npip = ["six"]\n'


@pytest.fixture
def make(lab):
    """``make(name, more)``: the spec of an environment that is not built; its folder."""
    made = []

    def make(name: str, more: str = "") -> Any:
        folder = lab.root / name
        folder.mkdir()
        (folder / "jupyter-container.toml").write_text(f'name = "{name}"\n{SIX}{more}')
        made.append(name)
        return folder

    yield make
    lab.end_kernels()
    for name in made:
        with contextlib.suppress(urllib.error.HTTPError):  # it was never made known
            lab.api("DELETE", f"environments/{name}?image=true")
        (lab.root / name / "jupyter-container.toml").unlink()


def steps(*commands: str) -> str:
    """Commands of a build that are others each time, so that there is something to do."""
    return f"[build]\nrun = {json.dumps([f'{command} # {secrets.token_hex(4)}' for command in commands])}\n"


def write_notebook(lab: Any, name: str, kernel: str, cells: list[str], *, put_out: str = "") -> None:
    """A notebook as somebody else might have left it; *put_out*: below each cell."""
    from nbformat import v4

    outputs = [v4.new_output("stream", text=put_out)] if put_out else []
    notebook = v4.new_notebook(cells=[v4.new_code_cell(cell, outputs=outputs) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": f"jc-{kernel}", "display_name": kernel, "language": "python"}
    (lab.root / name).write_text(json.dumps(notebook))


def card(screen: Any, name: str) -> Any:
    return screen.page.locator(".jp-LauncherCard[data-category=Notebook]").filter(has_text=f"{name} (not built)")


def banner(screen: Any) -> Any:
    return screen.page.locator(".jp-NotebookPanel:visible .jp-Containers-banner")


def output(screen: Any, number: int) -> Any:
    cells = screen.page.locator(".jp-NotebookPanel:visible .jp-Notebook .jp-Cell")
    return cells.nth(number).locator(".jp-OutputArea-output").first


def prompts(screen: Any) -> list[str]:
    """What stands before each code cell."""
    found = screen.page.locator(".jp-NotebookPanel:visible .jp-Notebook .jp-CodeCell .jp-InputPrompt")
    return [text.strip() for text in found.all_inner_texts()]


def queue(screen: Any, *sources: str) -> None:
    """Type each source into the next cell, and run it."""
    screen.page.locator(".jp-NotebookPanel:visible .jp-Notebook .jp-Cell .cm-content").first.click()
    for source in sources:
        screen.page.keyboard.insert_text(source)
        screen.page.keyboard.press("Shift+Enter")


def test_a_choice_is_refused_then_given_and_the_cells_run(screen, lab, make, shoot):
    make("careful", steps("for i in 1 2 3 4 5 6; do echo line $i; sleep 1; done"))
    card(screen, "careful").click()
    dialog = screen.page.locator(".jp-Dialog-content")
    dialog.get_by_text("build.run: the step 'for i in 1 2 3").wait_for()
    shoot("consent", ".jp-Dialog-content")
    assert screen.find_violations(".jp-Dialog-content") == []
    dialog.get_by_role("button", name="Cancel").click()

    # The notebook is there, and says what it waits for. What is run waits too.
    waits = banner(screen).get_by_text("waits for careful, which is not built before you have agreed")
    waits.last.wait_for()
    banner(screen).get_by_text("build.run: the step").first.wait_for()
    queue(screen, "print(6 * 7)", "import six; print(six.__name__, 'after', _ is not None)")
    banner(screen).get_by_text("2 cells wait").last.wait_for()
    assert prompts(screen)[:2] == ["[*]:", "[*]:"]
    assert screen.find_violations(".jp-Containers-banner") == []
    shoot("refused")
    assert [each for each in lab.api("GET", "builds") if each["environment"] == "careful"] == []

    banner(screen).get_by_role("button", name="See What It Asks For…").click()
    screen.accept()
    building = banner(screen).get_by_text("waits for careful, which is being built")
    building.last.wait_for()
    assert banner(screen).get_by_role("progressbar").count() == 1
    screen.page.locator(".jp-Containers-log").get_by_text("line 2", exact=True).wait_for(timeout=90_000)
    assert screen.find_violations(".jp-Containers-banner") == []
    shoot("waiting")
    screen.page.set_viewport_size({"width": 700, "height": 700})
    shoot("waiting-narrow")
    screen.page.set_viewport_size({"width": 1280, "height": 900})
    output(screen, 0).wait_for(timeout=90_000)
    assert output(screen, 0).inner_text().strip() == "42"
    output(screen, 1).get_by_text("six after").wait_for()
    building.last.wait_for(state="detached")
    assert prompts(screen)[:2] == ["[1]:", "[2]:"]


def test_cells_that_wait_can_be_taken_back(screen, lab, make):
    """They say that they wait, and no more once they are deleted, or their run is cancelled; what stood below stays."""
    make("patient", steps("true"))
    screen.row("environments", "patient").wait_for()
    write_notebook(lab, "patient.ipynb", "patient", ["print(1)", "print(2)", "print(3)"], put_out="as before\n")
    screen.execute("docmanager:open", path="patient.ipynb")
    banner(screen).get_by_text("waits for patient, which is not built before").last.wait_for()
    run = "() => void window.jupyterapp.commands.execute('notebook:run-all-cells')"
    screen.page.evaluate(run)
    banner(screen).get_by_text("3 cells wait").last.wait_for()
    assert prompts(screen) == ["[*]:", "[*]:", "[*]:"]

    cells = screen.page.locator(".jp-NotebookPanel:visible .jp-Notebook .jp-Cell")
    cells.nth(1).locator(".jp-InputPrompt").click()
    screen.page.evaluate("() => window.jupyterapp.commands.execute('notebook:delete-cell')")
    banner(screen).get_by_text("2 cells wait").last.wait_for()
    screen.page.evaluate("() => window.jupyterapp.commands.execute('notebook:undo-cell-action')")
    cells.nth(2).wait_for()
    assert prompts(screen) == ["[*]:", "[ ]:", "[*]:"]

    banner(screen).get_by_role("button", name="Do Not Run the Cells").click()
    banner(screen).get_by_text("cells wait").wait_for(state="detached")
    assert prompts(screen) == ["[ ]:", "[ ]:", "[ ]:"]
    assert [output(screen, number).inner_text().strip() for number in range(3)] == ["as before"] * 3

    screen.page.evaluate(run)
    banner(screen).get_by_text("3 cells wait").last.wait_for()
    banner(screen).get_by_role("button", name="See What It Asks For…").click()
    screen.accept()
    output(screen, 2).get_by_text("3", exact=True).wait_for(timeout=90_000)
    assert [output(screen, number).inner_text().strip() for number in range(3)] == ["1", "2", "3"]
    assert prompts(screen) == ["[1]:", "[2]:", "[3]:"]


def test_a_build_that_fails_stands_in_the_notebook_until_it_is_mended(screen, lab, make, shoot):
    folder = make("broken", steps("echo compiling fast.c; gcc -O2 fast.c"))
    card(screen, "broken").click()
    screen.accept()
    failure = banner(screen).get_by_role("alert")
    failure.get_by_text("The build of broken failed").wait_for(timeout=90_000)
    queue(screen, "print('mended')")
    failure.get_by_text("1 cell waits").wait_for()
    assert "gcc: " in failure.locator("pre").inner_text() and "not found" in failure.locator("pre").inner_text()
    failure.get_by_text("add build-essential").wait_for()  # the suggested fix
    assert screen.find_violations(".jp-Containers-banner") == []
    shoot("failed-in-notebook")
    screen.page.set_viewport_size({"width": 700, "height": 700})
    shoot("failed-in-notebook-narrow")
    screen.page.set_viewport_size({"width": 1280, "height": 900})
    path = screen.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.path")
    failure.get_by_role("button", name="Show Log").click()
    screen.page.locator(".jp-Containers-log").get_by_text("compiling fast.c", exact=True).wait_for()
    failure.get_by_role("button", name="Edit Spec").click()
    screen.page.locator(".jp-Containers-spec .cm-content", has_text="gcc -O2").wait_for()

    (folder / "jupyter-container.toml").write_text(f'name = "broken"\n{SIX}')
    screen.execute("docmanager:open", path=path)
    failure.get_by_role("button", name="Retry").click()
    screen.accept()  # the lock is of a build that came to no good end
    output(screen, 0).get_by_text("mended").wait_for(timeout=90_000)
    failure.wait_for(state="detached")


def test_an_opened_notebook_waits_and_outlives_a_reload(screen, lab, make, shoot):
    """Nobody has chosen it just now: what is agreed to is built by itself, what is not is told and not asked."""
    make("opened", steps("sleep 8"))
    make("plain")
    write_notebook(lab, "opened.ipynb", "opened", ["print('opened')"])
    write_notebook(lab, "plain.ipynb", "plain", ["print('plain')"])
    screen.row("environments", "plain").wait_for()
    screen.execute("docmanager:open", path="plain.ipynb")
    queue(screen, "")
    output(screen, 0).get_by_text("plain").wait_for(timeout=90_000)
    assert lab.environment("plain")["state"] == "ready"

    screen.execute("docmanager:open", path="opened.ipynb")
    banner(screen).get_by_text("waits for opened, which is not built before").last.wait_for()
    assert screen.page.locator(".jp-Dialog").count() == 0
    banner(screen).get_by_role("button", name="See What It Asks For…").click()
    screen.accept()
    banner(screen).get_by_text("waits for opened, which is being built").last.wait_for()
    screen.page.evaluate("() => window.jupyterapp.restored")
    screen.page.wait_for_timeout(1000)  # the layout is kept a moment after it has changed
    screen.open(reset=False)
    screen.wait_for_kernel(timeout=90_000)
    queue(screen, "")
    output(screen, 0).get_by_text("opened").wait_for()


def test_a_build_that_is_cancelled_is_built_again(screen, lab, make):
    make("stopped", steps("sleep 6"))
    card(screen, "stopped").click()
    screen.accept()
    banner(screen).get_by_role("button", name="Cancel the Build").click()
    banner(screen).get_by_text("The build of stopped was stopped").last.wait_for(timeout=60_000)
    banner(screen).get_by_role("button", name="Build Again").click()
    screen.accept()
    screen.wait_for_kernel(timeout=90_000)
    assert banner(screen).is_hidden()
