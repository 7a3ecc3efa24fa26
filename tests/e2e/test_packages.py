"""Packages that are added to an environment while a kernel of it runs, by its user and by the kernel itself."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.network]


@pytest.fixture
def growing(screen: Any, lab: Any, request: pytest.FixtureRequest) -> Any:
    """A notebook of an environment that has six, and may be changed."""
    folder = lab.root / request.node.name
    folder.mkdir()
    (folder / "jupyter-container.toml").write_text('# mine\nname = "growing"\n\n[packages]\npip = ["six"]\n')
    lab.api("POST", "environments", {"path": request.node.name})
    row = screen.row("environments", "growing")
    row.get_by_label("Build", exact=True).click()
    screen.page.locator(".jp-Containers-log").get_by_role("button", name="Start a notebook").click(timeout=90_000)
    screen.wait_for_kernel()
    yield folder / "jupyter-container.toml"
    lab.end_kernels()
    lab.api("DELETE", "environments/growing?image=true")


def run(screen: Any, source: str) -> Any:
    """Run *source* in a new cell at the end, and return the cell."""
    cells = screen.page.locator(".jp-NotebookPanel:visible .jp-Notebook .jp-CodeCell")
    cell = cells.last
    if cell.locator(".cm-content").inner_text().strip():
        before = cells.count()
        screen.page.evaluate("window.jupyterapp.commands.execute('notebook:insert-cell-below')")
        cell = cells.nth(before)
    else:
        cell = cells.nth(cells.count() - 1)
    cell.locator(".cm-content").click()
    screen.page.keyboard.insert_text(source)
    screen.page.keyboard.press("Control+Enter")
    return cell


def container(lab: Any) -> str:
    """The id of the one kernel's container; empty while it is started anew."""
    running = [item["id"] for item in lab.api("GET", "containers") if item["status"] == "running"]
    return str(running[0]) if len(running) == 1 else ""


def test_a_kernel_asks_and_its_variables_stay(screen, lab, shoot, growing):
    page = screen.page
    run(screen, "kept = 41\n%container add idna")
    dialog = page.locator(".jp-Dialog-content")
    dialog.get_by_text("The kernel of Untitled").wait_for()
    assert "Add packages to growing?" in dialog.inner_text()
    shoot("container-add", ".jp-Dialog-content")
    assert screen.find_violations(".jp-Dialog-content") == []
    screen.press_in_dialog("Enter")  # as one types on in the notebook: it is no
    page.get_by_text("Not added: you said no.").wait_for()
    assert "idna" not in growing.read_text()

    # One question at a time: the second is answered without the user.
    cell = run(screen, "%container add idna\n%container add toolz")
    cell.get_by_text("one question of this kernel waits").wait_for()
    dialog.get_by_role("button", name="Add", exact=True).click()
    cell.get_by_text("Add idna to growing: added idna").wait_for(timeout=120_000)
    shoot("container-added")
    assert growing.read_text() == '# mine\nname = "growing"\n\n[packages]\npip = ["six", "idna"]\n'
    after = run(screen, "import idna\nprint(idna.encode('x').decode(), kept + 1)")
    after.get_by_text("x 42", exact=True).wait_for()
    assert lab.environment("growing")["state"] == "ready"


def test_a_package_goes_into_a_running_kernel_and_out_of_the_spec(screen, lab, shoot, growing):
    page = screen.page
    run(screen, "kept = 41")
    page.locator(".lm-TabBar-tab[data-id='jupyter-containers']").click()
    page.locator(".lm-TabBar-tab[data-id='jupyter-containers']").click()
    running = screen.section("running").locator("li").first
    screen.menu(running, "Add a Package…")
    dialog = page.locator(".jp-Dialog-content")
    dialog.get_by_text("Add packages to growing").wait_for()
    dialog.get_by_role("button", name="Add to the Environment").click()
    dialog.get_by_text("Search for a package and choose it first.").wait_for()
    dialog.get_by_label("Add a Python package").fill("toolz")
    found = dialog.get_by_role("option").first
    found.wait_for()
    shoot("package-search", ".jp-Dialog-content")
    assert screen.find_violations(".jp-Dialog-content") == []
    found.click()
    dialog.locator(".jp-Containers-versions").get_by_role("button", name="Add", exact=True).click()
    dialog.locator(".jp-Containers-chosen", has_text="toolz").wait_for()
    shoot("package-chosen", ".jp-Dialog-content")
    assert screen.find_violations(".jp-Dialog-content") == []
    screen.accept()
    told = page.locator(".Toastify__toast", has_text="Add toolz to growing: added toolz").first
    told.wait_for(timeout=120_000)
    told.get_by_role("button", name="Details").click()
    dialog.get_by_role("rowheader", name="toolz").wait_for()
    shoot("packages-changed", ".jp-Dialog-content")
    assert screen.find_violations(".jp-Dialog-content") == []
    screen.accept()
    run(screen, "import toolz\nprint(toolz.first([kept + 1]))").get_by_text("42", exact=True).wait_for()

    screen.menu(screen.row("environments", "growing"), "Remove a Package…")
    dialog.locator("select").select_option(label="toolz")
    shoot("package-removal", ".jp-Dialog-content")
    assert screen.find_violations(".jp-Dialog-content") == []
    screen.accept()
    page.locator(".Toastify__toast", has_text="removed toolz").first.wait_for(timeout=120_000)
    assert growing.read_text() == '# mine\nname = "growing"\n\n[packages]\npip = ["six"]\n'


def test_what_a_kernel_has_in_use_it_gets_with_its_restart(screen, lab, growing):
    """A package that it has imported, at another version: from the panel, and as the kernel asks for it."""
    page = screen.page
    run(screen, "import six\nprint('first', six.__version__)").get_by_text("first 1.17.0").wait_for()
    page.locator(".lm-TabBar-tab[data-id='jupyter-containers']").click()
    page.locator(".lm-TabBar-tab[data-id='jupyter-containers']").click()
    screen.menu(screen.section("running").locator("li").first, "Add a Package…")
    dialog = page.locator(".jp-Dialog-content")
    dialog.get_by_label("Add a Python package").fill("six")
    dialog.get_by_role("option").filter(has=page.get_by_text("six", exact=True)).click()
    dialog.get_by_label("Version of six").select_option("==1.16.0")
    dialog.locator(".jp-Containers-versions").get_by_role("button", name="Add", exact=True).click()
    screen.accept()
    told = page.locator(".Toastify__toast", has_text="changed six 1.17.0 → 1.16.0; after a restart of the kernel: six")
    told.wait_for(timeout=120_000)
    run(screen, "print('still', six.__version__)").get_by_text("still 1.17.0").wait_for()
    told.get_by_role("button", name="Restart the Kernel…").click()
    dialog.get_by_text("All variables will be lost.").wait_for()
    before = container(lab)
    screen.accept()
    while container(lab) in {before, ""}:
        page.wait_for_timeout(100)
    screen.wait_for_kernel()
    run(screen, "import six\nprint('then', six.__version__)").get_by_text("then 1.16.0").wait_for()

    cell = run(screen, "%container add six==1.17.0")
    dialog.get_by_role("button", name="Add", exact=True).click()
    cell.get_by_text("changed six 1.16.0 → 1.17.0; after a restart of the kernel: six").wait_for(timeout=120_000)
    run(screen, "print('now', six.__version__)").get_by_text("now 1.16.0").wait_for()
    assert '"six==1.17.0"' in growing.read_text()
