"""The panel "Containers": what it shows, live, narrow, by keyboard, and to those who don't see it."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.network]

LONG = "an-environment-with-a-rather-long-name-for-a-narrow-panel"


def overflowing(screen: Any) -> list[str]:
    """What is wider than its section of the panel, and not cut by what it is in (with an ellipsis)."""
    return screen.page.evaluate(
        """() => [...document.querySelectorAll('#jupyter-containers .jp-Containers-section *')]
            .filter(item => {
                const section = item.closest('.jp-Containers-section');
                for (let outer = item.parentElement; outer !== section; outer = outer.parentElement) {
                    if (getComputedStyle(outer).overflowX === 'hidden') {
                        return false;
                    }
                }
                const [box, bounds] = [item.getBoundingClientRect(), section.getBoundingClientRect()];
                return box.width > 0 && (box.right > bounds.right + 0.5 || box.left < bounds.left - 0.5);
            })
            .map(item => item.outerHTML.slice(0, 200))"""
    )


def answer(screen: Any, path: str, body: str, *, status: int = 200, kind: str = "application/json") -> None:
    """Have the page get *body* for a path of the interface."""
    screen.page.route(
        f"**/jupyter-containers/api/{path}?*",
        lambda route: route.fulfill(status=status, body=body, content_type=kind),
    )


def snapshot(**more: list[Any]) -> str:
    data = {"environments": [], "containers": [], "builds": [], "images": [], **more}
    return f"event: snapshot\ndata: {json.dumps(data)}\n\n"


def test_it_shows_what_there_is(screen, shoot):
    physics = screen.row("environments", "physics")
    physics.wait_for()
    assert "ready" in physics.inner_text()
    assert "not built" in screen.row("environments", LONG).inner_text()
    image = screen.section("images").locator("[data-key]", has_text="physics:latest")
    image.locator(".jp-Containers-row-name").click()
    assert "base debian:trixie" in image.inner_text()
    host = screen.section("host")
    host.get_by_text("Store", exact=True).wait_for()
    assert host.locator(".jp-Containers-findings > li").count() > 3
    shoot("panel", "#jupyter-containers")


def test_it_follows_what_happens_elsewhere(screen, lab):
    screen.row("environments", "physics").wait_for()
    lab.api("POST", "environments", {"text": 'name = "made-elsewhere"\n'})
    screen.row("environments", "made-elsewhere").wait_for()
    lab.api("DELETE", "environments/made-elsewhere")
    screen.row("environments", "made-elsewhere").wait_for(state="detached")


def test_a_notebook_from_start_to_stop(screen, lab, shoot):
    screen.row("environments", "physics").get_by_label("Start a Notebook").click()
    assert screen.run_cell("import six, sys; print('six', sys.prefix)").startswith("six /opt/venv")
    running = screen.section("running").locator("li").first
    running.get_by_text("Untitled").wait_for()
    running.locator(".jp-Containers-figure").first.wait_for(state="attached")
    assert "physics" in running.inner_text() and "kernel" in running.inner_text()

    status = screen.page.locator("#jp-main-statusbar").get_by_text("Physics 1 · ")
    status.get_by_text("CPU").wait_for()
    running.locator(".jp-Containers-row-name").click()
    running.get_by_text("Processes").wait_for()
    screen.page.wait_for_function(  # a line of a few samples
        "() => document.querySelector('#jupyter-containers-running polyline').points.length > 3"
    )
    shoot("running")
    screen.page.locator(".jp-NotebookPanel .jp-Notebook .cm-content").first.click()
    status.click()
    running.locator(".jp-Containers-row-name:focus").wait_for()

    before = lab.api("GET", "containers")[0]["id"]
    running.get_by_label("Restart the Kernel…").click()
    screen.accept()
    screen.page.wait_for_function(
        "id => ![...document.querySelectorAll('#jupyter-containers-running li')].some(row => row.dataset.key === id)",
        arg=before,
    )
    screen.wait_for_kernel()
    running.get_by_text("Untitled").wait_for()
    running.get_by_label("Stop…").click()
    screen.accept()
    screen.section("running").get_by_text("Nothing runs.").wait_for()


def test_a_terminal_inside_and_an_image_of_what_runs(screen, lab, shoot):
    screen.row("environments", "physics").get_by_label("Start a Notebook").click()
    screen.wait_for_kernel()
    running = screen.section("running").locator("li").first
    screen.menu(running, "Open a Terminal Inside")
    screen.page.locator(".jp-Terminal .xterm-helper-textarea").wait_for(state="attached")
    screen.page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget?.content?.session?.connectionStatus === 'connected'"
    )
    screen.page.locator(".jp-Terminal").click()
    screen.page.locator(".jp-Terminal .xterm-helper-textarea:focus").wait_for(state="attached")
    screen.page.keyboard.type("touch /tmp/here\n")
    shoot("terminal")
    screen.page.locator(".lm-TabBar-tab", has_text="Untitled").click()
    found = "import os, time\nwhile not os.path.exists('/tmp/here'): time.sleep(0.1)\nprint('there')"
    assert screen.run_cell(found) == "there"
    screen.menu(running, "Keep as an Image…")
    screen.page.locator(".jp-Dialog input").fill("physics-kept:1")
    screen.accept()
    screen.section("images").get_by_text("physics-kept:1").wait_for()
    screen.menu(running, "Stop…")
    screen.accept()
    screen.section("running").get_by_text("Nothing runs.").wait_for()
    kept = screen.section("images").locator("li", has_text="physics-kept:1")
    screen.menu(kept, "Remove…")
    screen.accept()
    kept.wait_for(state="detached")


def test_the_history_of_an_image_and_a_prune_that_shows_what_goes(screen, shoot):
    image = screen.section("images").locator("li", has_text="physics:latest")
    image.get_by_label("Show the History").click()
    screen.page.locator(".jp-Dialog table").get_by_text("base debian:trixie").wait_for()
    shoot("history", ".jp-Dialog-content")
    assert screen.find_violations(".jp-Dialog-content") == []
    screen.accept()
    screen.execute("jupyter-containers:prune-images")
    dialog = screen.page.locator(".jp-Dialog-content")
    dialog.get_by_text("Remove what is not in use").wait_for()
    assert "frees" in dialog.inner_text() or "nothing to remove" in dialog.inner_text()
    shoot("prune", ".jp-Dialog-content")
    screen.press_in_dialog("Escape")


def test_it_is_narrow(screen, shoot):
    screen.row("environments", LONG).wait_for()
    screen.section("host").locator(".jp-Containers-findings").wait_for()
    for row in screen.page.locator("#jupyter-containers .jp-Containers-row-name").all():
        row.click()
    width = screen.page.locator("#jupyter-containers").bounding_box()["width"]
    assert width <= 251
    assert overflowing(screen) == []
    title = screen.row("environments", LONG).locator(".jp-Containers-title")
    assert title.evaluate("item => item.scrollWidth > item.clientWidth")  # cut …
    assert LONG in title.locator("..").get_attribute("title")  # … and whole where the mouse rests
    shoot("narrow", "#jupyter-containers")


def test_the_keyboard_is_enough(screen):
    page = screen.page
    screen.row("environments", "slow").wait_for()
    names = page.locator("#jupyter-containers-environments .jp-Containers-row-name")
    names.first.focus()
    page.keyboard.press("ArrowDown")
    assert names.nth(1).evaluate("item => item === document.activeElement")
    page.keyboard.press("Enter")
    assert names.nth(1).get_attribute("aria-expanded") == "true"
    page.keyboard.press("End")
    assert names.last.evaluate("item => item === document.activeElement")
    outline = names.last.evaluate("item => getComputedStyle(item).outlineStyle")
    assert outline == "solid"
    for _ in range(4):  # through the buttons of the row, to its menu
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.locator(".lm-Menu").wait_for()
    page.keyboard.press("Escape")
    page.locator("#jupyter-containers-environments [aria-haspopup=menu]:focus").wait_for()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-haspopup')") == "menu"  # one row, one stop


@pytest.mark.parametrize("theme", ["light", "dark", "high_contrast"])
def test_it_is_accessible(screen, theme):
    screen.wear(getattr(screen, theme))
    screen.row("environments", "physics").locator(".jp-Containers-row-name").click()
    screen.section("images").locator(".jp-Containers-row-name").first.click()
    screen.section("host").locator(".jp-Containers-findings").wait_for()
    assert screen.find_violations("#jupyter-containers") == []


def test_every_command_is_in_the_palette_and_asks_what_it_is_about(screen):
    ids = screen.page.evaluate(
        "() => window.jupyterapp.commands.listCommands().filter(id => id.startsWith('jupyter-containers:')"
        " && window.jupyterapp.commands.isVisible(id, {}))"
    )
    assert len(ids) > 25
    screen.page.keyboard.press("Control+Shift+C")
    screen.page.locator("#modal-command-palette input").fill("containers")
    shown = screen.page.locator("#modal-command-palette .lm-CommandPalette-item").evaluate_all(
        "items => items.map(item => item.dataset.command)"
    )
    screen.page.keyboard.press("Escape")
    assert set(ids) <= set(shown), set(ids) - set(shown)
    screen.execute("jupyter-containers:show-lock-diff")
    screen.page.locator(".jp-Dialog").get_by_text("Which environment?").wait_for()


def test_an_empty_store_has_next_steps(screen, shoot):
    answer(screen, "feed", snapshot(), kind="text/event-stream")
    screen.open()
    screen.section("environments").get_by_text("No environment yet.").wait_for()
    screen.section("running").get_by_text("Nothing runs.").wait_for()
    screen.section("images").get_by_text("The store is empty.").wait_for()
    shoot("empty", "#jupyter-containers")
    assert screen.find_violations("#jupyter-containers") == []
    screen.section("environments").get_by_role("button", name="New environment…").click()
    screen.page.locator(".jp-Dialog").get_by_text("What is it to be made of?").wait_for()


@pytest.mark.parametrize(
    ("name", "status", "body", "text"),
    [
        ("absent", 404, "{}", "This Jupyter server has no containers extension."),
        ("incompatible", 200, '{"version": "9.0", "api": 9}', "the server (version 9.0) speaks 9"),
        ("refused", 403, '{"message": "not allowed to read containers"}', "not allowed to read containers"),
    ],
)
def test_a_server_that_does_not_fit_is_told(screen, shoot, name, status, body, text):
    answer(screen, "version", body, status=status)
    screen.open()
    message = screen.page.locator("#jupyter-containers [role=alert]")
    message.get_by_text(text).wait_for()
    shoot(f"server-{name}", "#jupyter-containers")
    assert screen.find_violations("#jupyter-containers") == []
    screen.page.unroute_all()
    message.get_by_role("button", name="Try again").click()
    screen.row("environments", "physics").wait_for()
    assert message.count() == 0


def test_an_error_is_a_notification_with_the_hint(screen, shoot):
    reply = {"message": "the store is in use", "reason": "ConflictError", "hint": "try again in a minute"}
    answer(screen, "prune", json.dumps(reply), status=409)
    screen.execute("jupyter-containers:prune-images")
    toast = screen.page.locator(".Toastify__toast")
    toast.get_by_text("the store is in use — try again in a minute").wait_for()
    shoot("error")


def test_deleting_asks_first(screen, lab, shoot):
    lab.api("POST", "environments", {"text": 'name = "to-be-deleted"\n'})
    screen.menu(screen.row("environments", "to-be-deleted"), "Delete…")
    screen.page.locator(".jp-Dialog").get_by_text("Delete to-be-deleted?").wait_for()
    shoot("delete", ".jp-Dialog-content")
    screen.press_in_dialog("Escape")
    assert lab.environment("to-be-deleted")
    screen.menu(screen.row("environments", "to-be-deleted"), "Delete…")
    screen.accept()
    screen.row("environments", "to-be-deleted").wait_for(state="detached")
