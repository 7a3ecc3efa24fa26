"""Limits: chosen in the picker, remembered in the notebook, changed later; what a kernel that was killed for memory
leaves in its notebook; what an opened notebook asks for; settings."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.network]

MIB, GIB = 1 << 20, 1 << 30

BOUNDED = 'name = "bounded"\n[packages]\npip = ["six"]\n[resources]\nmemory = "1G"\n'


@pytest.fixture
def bounded(lab):
    """An environment that gives 1 GiB; its layers are those of ``physics``."""
    lab.api("POST", "environments", {"text": BOUNDED})
    build = lab.api("POST", "builds", {"environment": "bounded"})["id"]
    while (state := lab.api("GET", f"builds/{build}")["state"]) in ("queued", "running"):
        pass
    assert state == "done"
    yield "bounded"
    lab.end_kernels()
    lab.api("DELETE", "environments/bounded?image=true")


def banner(screen: Any) -> Any:
    return screen.page.locator(".jp-NotebookPanel:visible .jp-Containers-banner")


def asked(lab: Any) -> dict[str, float]:
    """The limits of the one kernel that runs."""
    running = [item for item in lab.api("GET", "containers") if item["status"] == "running"]
    (container,) = (item for item in running if item["kind"] == "kernel")
    return {item["limit"]: item["asked"] for item in container["limits"]}


@contextlib.contextmanager
def new_kernel(screen: Any) -> Iterator[None]:
    """Wait for another kernel after what is done meanwhile."""
    kernel = "() => window.jupyterapp.shell.currentWidget.sessionContext?.session?.kernel?.id"
    before = screen.page.evaluate(kernel)
    yield
    screen.page.wait_for_function(f"before => ![before, undefined].includes(({kernel})())", arg=before)
    screen.wait_for_kernel()


def accept_and_wait(screen: Any) -> None:
    """Accept a dialog that leads to another kernel, and wait for that one."""
    with new_kernel(screen):
        screen.accept()


def write_notebook(lab: Any, name: str, limits: dict[str, Any]) -> None:
    from nbformat import v4

    notebook = v4.new_notebook(cells=[v4.new_code_cell("print('runs')")])
    notebook.metadata["kernelspec"] = {"name": "jc-bounded", "display_name": "bounded", "language": "python"}
    notebook.metadata["jupyter_containers"] = {"limits": limits}
    (lab.root / name).write_text(json.dumps(notebook))


def test_limits_are_chosen_remembered_and_changed(screen, lab, shoot):
    screen.page.locator(".jp-LauncherCard[data-category=Notebook]").filter(has_text="Physics 1 (ready)").click()
    screen.wait_for_kernel()
    screen.page.locator(".jp-Toolbar-kernelName").click()
    dialog = screen.page.locator(".jp-Dialog-content")
    dialog.locator("select").first.select_option(value='{"name":"jc-physics"}')
    dialog.get_by_text("Limits", exact=True).click()
    dialog.get_by_label("Memory", exact=True).fill("1.5")
    cpus = {"cpus": 1} if "cpus" not in lab.api("GET", "limits")["unenforced"] else {}
    if cpus:  # else its kernel would be refused
        dialog.get_by_label("CPUs").fill("1")
    dialog.get_by_label("Network").select_option("none")
    dialog.get_by_text("This host has").first.wait_for()
    assert screen.find_violations(".jp-Dialog-content") == []
    shoot("picker-limits", ".jp-Dialog-content")
    accept_and_wait(screen)
    assert screen.run_cell("kept = 41; print(1)") == "1"
    limits = asked(lab)
    assert (limits["memory"], limits.get("cpus")) == (1.5 * GIB, cpus.get("cpus"))
    screen.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.save()")
    path = screen.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.path")
    kept = json.loads((lab.root / path).read_text())["metadata"]["jupyter_containers"]
    assert kept == {"limits": {"memory": "1536M", "network": "none"} | cpus}

    screen.execute("jupyter-containers:change-limits")
    memory = dialog.get_by_label("Memory", exact=True)
    assert memory.input_value() == "1536"
    memory.fill("768")
    dialog.get_by_label("CPUs").fill("")
    dialog.get_by_label("Open files").fill("512")
    assert screen.find_violations(".jp-Dialog-content") == []
    shoot("change-limits", ".jp-Dialog-content")
    (session,) = lab.api("GET", "sessions")
    screen.accept()
    later = banner(screen).locator("[data-notice=limits-later]")
    later.get_by_text("These limits hold once the kernel is started anew").wait_for()
    told = later.inner_text()
    assert "Open files: 512 — a process keeps the number that it was started with" in told
    assert ("CPUs: no limit — a limit can be moved while it runs" in told) == bool(cpus)
    # What can be changed is, and the kernel is the same one, with its variables.
    if "memory" not in lab.api("GET", "limits")["unenforced"]:
        screen.page.locator(".Toastify__toast", has_text="runs on. Memory: 768 MiB").wait_for()
        assert asked(lab)["memory"] == 768 * MIB
        assert "Memory" not in told
    else:
        assert "Memory: 768 MiB — " in told
        assert "can't be changed while it runs" in told
    assert screen.run_in(1, "print(kept + 1)") == "42"
    assert lab.api("GET", "sessions")[0]["kernel"]["id"] == session["kernel"]["id"]
    assert screen.find_violations(".jp-Containers-banner") == []
    shoot("limits-later")
    with new_kernel(screen):
        later.get_by_role("button", name="Restart Now").click()
    later.wait_for(state="detached")
    assert {"memory": 768 * MIB, "files": 512}.items() <= asked(lab).items()
    assert "cpus" not in asked(lab)


def test_raised_limits_go_with_a_renamed_notebook(screen, lab, bounded):
    screen.row("environments", "bounded").wait_for()
    screen.menu(screen.row("environments", "bounded"), "Start a Notebook With Limits…")
    screen.page.locator(".jp-Dialog-content").get_by_label("Memory", exact=True).fill("2")
    accept_and_wait(screen)
    assert asked(lab)["memory"] == 2 * GIB
    before = screen.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.path")
    screen.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.rename('its other name.ipynb')")
    assert not (lab.root / before).exists()
    screen.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
    screen.wait_for_kernel()
    assert asked(lab)["memory"] == 2 * GIB
    # Opened again it has been agreed to, and is not asked about; another one of the old name is.
    screen.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.save()")
    screen.page.evaluate("() => window.jupyterapp.shell.currentWidget.close()")
    lab.end_kernels()
    screen.execute("docmanager:open", path="its other name.ipynb")
    screen.wait_for_kernel()
    assert asked(lab)["memory"] == 2 * GIB
    lab.end_kernels()
    write_notebook(lab, before, {"memory": "2G"})
    screen.execute("docmanager:open", path=before)
    banner(screen).get_by_text("Memory: 2.00 GiB, where the environment has 1.00 GiB").wait_for()


def test_a_notebook_starts_with_limits_and_what_can_t_be_is_said(screen, lab, shoot):
    allowed = lab.api("GET", "limits?environment=physics")
    allowed["maximum"] |= {"memory": 2 * GIB, "cpus": 1.5, "network": "none"}
    allowed["unenforced"] = {"memory": "the host hands no memory controller to this user"}
    screen.page.route("**/jupyter-containers/api/limits?*", lambda route: route.fulfill(json=allowed))
    screen.menu(screen.row("environments", "physics"), "Start a Notebook With Limits…")
    dialog = screen.page.locator(".jp-Dialog-content")
    dialog.get_by_text("At most 2.00 GiB. This host can’t hold a kernel to it: the host hands").wait_for()
    dialog.get_by_text("No kernel has a network here.").wait_for()
    dialog.get_by_label("Memory", exact=True).fill("100")
    assert dialog.get_by_role("button", name="Start").is_disabled()  # it is more than is allowed
    assert screen.find_violations(".jp-Dialog-content") == []
    shoot("start-with-limits", ".jp-Dialog-content")
    dialog.get_by_label("Memory", exact=True).fill("2")
    accept_and_wait(screen)
    assert asked(lab)["memory"] == 2 * GIB


def test_a_kernel_that_is_killed_for_memory(screen, lab, shoot):
    unenforced = lab.api("GET", "limits")["unenforced"]
    if "memory" in unenforced:
        pytest.skip(f"this host limits no memory for this user: {unenforced['memory']}")
    screen.menu(screen.row("environments", "physics"), "Start a Notebook With Limits…")
    dialog = screen.page.locator(".jp-Dialog-content")
    dialog.get_by_label("Unit of the memory").select_option("MiB")
    dialog.get_by_label("Memory", exact=True).fill("192")
    accept_and_wait(screen)
    assert screen.run_cell("print('before')") == "before"
    screen.page.locator(".jp-NotebookPanel:visible .jp-Cell .cm-content").nth(1).click()
    screen.page.keyboard.insert_text("hoard = [bytearray(1 << 20) for _ in range(4000)]")
    screen.page.keyboard.press("Shift+Enter")
    death = banner(screen).get_by_role("alert")
    death.get_by_text("The kernel was killed for memory").wait_for(timeout=60_000)
    text = death.inner_text()
    assert "its limit is 192 MiB, and at its peak it had 19" in text
    assert "hold less in memory" in text
    # JupyterLab's own words, which know nothing of it, do not stand before it.
    screen.page.wait_for_timeout(3000)
    assert screen.page.locator(".jp-Dialog", has_text="Kernel Restarting").count() == 0
    assert screen.find_violations(".jp-Containers-banner") == []
    shoot("killed-for-memory")
    screen.page.set_viewport_size({"width": 600, "height": 700})
    shoot("killed-for-memory-narrow")
    screen.page.set_viewport_size({"width": 1280, "height": 900})

    death.get_by_role("button", name="Change Limits…").click()
    dialog.get_by_label("Memory", exact=True).fill("300")
    screen.accept()  # the kernel that has come in its place gets it at once
    screen.page.locator(".Toastify__toast", has_text="runs on. Memory: 300 MiB").wait_for()
    assert banner(screen).is_hidden()
    assert asked(lab)["memory"] == 300 * MIB


def test_a_kernel_that_dies_of_something_else(screen, lab):
    screen.page.locator(".jp-LauncherCard[data-category=Notebook]").filter(has_text="Physics 1 (ready)").click()
    screen.wait_for_kernel()
    screen.page.locator(".jp-NotebookPanel:visible .jp-Cell .cm-content").first.click()
    screen.page.keyboard.insert_text("import os; os.abort()")
    screen.page.keyboard.press("Shift+Enter")
    death = banner(screen).get_by_role("alert")
    death.get_by_text("The kernel has died, and its variables are lost.").wait_for(timeout=60_000)
    assert "SIGABRT" in death.inner_text()
    death.get_by_role("button", name="Dismiss").click()
    death.wait_for(state="detached")
    assert banner(screen).is_hidden()


@pytest.mark.parametrize(("button", "memory"), [("Allow", 3 * GIB), ("Start With the Limits of the Environment", GIB)])
def test_an_opened_notebook_that_asks_for_more_is_asked_about(screen, lab, bounded, shoot, button, memory):
    write_notebook(lab, f"more-{memory}.ipynb", {"memory": "3G", "network": "none"})
    screen.execute("docmanager:open", path=f"more-{memory}.ipynb")
    banner(screen).get_by_text("This notebook asks for more than bounded has.").last.wait_for()
    banner(screen).get_by_text("Memory: 3.00 GiB, where the environment has 1.00 GiB").wait_for()
    assert lab.api("GET", "sessions") == []
    assert screen.find_violations(".jp-Containers-banner") == []
    shoot("asks-for-more")
    banner(screen).get_by_role("button", name=button).click()
    screen.wait_for_kernel()
    assert banner(screen).is_hidden()
    assert asked(lab)["memory"] == memory


def test_a_notebook_that_asks_for_less_is_not_asked_about(screen, lab, bounded):
    write_notebook(lab, "less.ipynb", {"memory": "512M"})
    screen.execute("docmanager:open", path="less.ipynb")
    screen.wait_for_kernel()
    assert asked(lab)["memory"] == 512 * MIB


def test_settings_do_what_they_say(screen, lab, shoot):
    set_all = """values => window.jupyterapp.serviceManager.settings.save(
        'jupyter-containers:settings', JSON.stringify(values))"""
    status = screen.page.locator("#jp-main-statusbar").get_by_text("Physics 1 · ")
    screen.row("environments", "physics").get_by_label("Start a Notebook").click()
    screen.wait_for_kernel()
    status.wait_for()
    line = screen.section("running").locator(".jp-Containers-figure svg").first
    line.wait_for()
    settings = {"statusBar": False, "sparklines": False, "confirmDelete": False, "defaultLimits": {"memory": "700M"}}
    screen.page.evaluate(set_all, settings)
    screen.page.wait_for_timeout(1000)  # the layout is kept a moment after it has changed
    try:
        screen.open(reset=False)
        screen.wait_for_kernel()
        screen.section("running").locator(".jp-Containers-figure").first.wait_for()
        line.wait_for(state="hidden")
        assert status.count() == 0
        lab.end_kernels()
        screen.row("environments", "physics").get_by_label("Start a Notebook").click()
        screen.page.wait_for_timeout(500)
        screen.wait_for_kernel()
        assert asked(lab)["memory"] == 700 * MIB
        lab.api("POST", "environments", {"text": 'name = "short-lived"\n'})
        row = screen.row("environments", "short-lived")
        screen.menu(row, "Delete…")
        row.wait_for(state="detached")  # without a question
        screen.execute("settingeditor:open", query="Containers")
        editor = screen.page.locator(".jp-SettingsPanel")
        editor.get_by_text("Ask before every build", exact=True).wait_for()
        shoot("settings")
    finally:
        screen.page.evaluate(set_all, {})
