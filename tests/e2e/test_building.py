"""Building in sight: launcher, kernel picker, the log as a tab, notifications."""

from __future__ import annotations

import re

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.network]


def test_a_build_is_followed_to_its_end(screen, lab, shoot):
    slow = screen.row("environments", "slow")
    slow.get_by_label("Build", exact=True).click()
    log = screen.page.locator(".jp-Containers-log")
    log.get_by_text("slow is being built").wait_for()
    log.get_by_text("line 2", exact=True).wait_for()
    slow.get_by_text("building").wait_for()
    slow.locator("[role=progressbar]").wait_for()
    shoot("building")
    assert screen.find_violations(".jp-Containers-log") == []
    screen.execute("jupyter-containers:show-build-log", environment="slow")
    assert screen.page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab", has_text="Log of slow").count() == 1

    # The page is loaded again: the tab is there, with all of the log, and goes on.
    screen.open(reset=False)
    log.get_by_text("line 1", exact=True).wait_for()
    log.get_by_text("slow is ready").wait_for(timeout=90_000)
    log.get_by_text("line 9", exact=True).wait_for()
    screen.row("environments", "slow").get_by_text("ready").wait_for()
    shoot("built")
    log.get_by_role("button", name="Start a notebook").click()
    assert screen.run_cell("print(6 * 7)") == "42"
    screen.menu(screen.section("running").locator("li").first, "Stop…")
    screen.accept()


def test_a_build_that_fails_tells_why_and_what_next(screen, lab, shoot):
    screen.row("environments", "failing").get_by_label("Build", exact=True).click()
    log = screen.page.locator(".jp-Containers-log")
    failure = log.locator("[role=alert]")
    failure.get_by_text("The build of failing failed").wait_for(timeout=90_000)
    log.get_by_text("before it fails", exact=True).wait_for()
    toast = screen.page.locator(".Toastify__toast", has_text="The build of failing failed")
    toast.get_by_role("button", name="Show log").wait_for()
    shoot("failed")
    assert screen.find_violations(".jp-Containers-log") == []
    failure.get_by_role("button", name="Edit the spec").click()
    screen.page.locator(".jp-Containers-spec .cm-content", has_text="exit 3").wait_for()


def test_a_build_is_cancelled(screen, lab):
    lab.api("POST", "environments", {"text": 'name = "cancelled"\n\n[build]\nrun = ["sleep 600"]\n'})
    cancelled = screen.row("environments", "cancelled")
    cancelled.get_by_label("Build", exact=True).click()
    screen.page.locator(".jp-Containers-log [data-kind=step]", has_text="sleep 600").wait_for(timeout=90_000)
    cancelled.get_by_label("Cancel the Build").click()
    screen.page.locator(".jp-Containers-log").get_by_text("The build of cancelled was cancelled").wait_for()
    cancelled.get_by_text("not built").wait_for()
    lab.api("DELETE", "environments/cancelled")


def test_a_log_is_searched_copied_and_outlives_the_server(screen, lab, shoot):
    screen.row("environments", "failing").get_by_label("Build", exact=True).click()
    log = screen.page.locator(".jp-Containers-log")
    log.get_by_text("The build of failing failed").wait_for(timeout=90_000)
    screen.execute("jupyter-containers:search-log")
    screen.page.locator(".jp-DocumentSearch-input:focus").wait_for()
    screen.page.keyboard.type("before it fails")
    log.locator("mark", has_text="before it fails").first.wait_for()
    shoot("search")
    screen.page.keyboard.press("Escape")
    screen.execute("jupyter-containers:copy-log")
    screen.page.wait_for_function("async () => (await navigator.clipboard.readText()).includes('before it fails')")

    lab.stop()
    alert = screen.page.locator("#jupyter-containers [role=alert]")
    alert.get_by_text("The server does not answer.").wait_for()
    assert "Physics 1" in screen.section("environments").inner_text()  # what is known stays
    lab.start()
    alert.wait_for(state="detached", timeout=60_000)
    screen.open(reset=False)
    log.get_by_text("before it fails", exact=True).wait_for()


def test_text_of_a_build_is_text(screen, lab):
    evil = r"<img src=x onerror=document.title=1>\033]0;pwned\007\033[31mred\033[0m\n"
    command = f"""printf "{evil}"; exit 1"""
    lab.api("POST", "environments", {"text": f"name = 'evil'\n\n[build]\nrun = ['{command}']\n"})
    screen.row("environments", "evil").get_by_label("Build", exact=True).click()
    log = screen.page.locator(".jp-Containers-log")
    log.get_by_text("The build of evil failed").wait_for(timeout=90_000)
    line = log.locator("[data-kind=output]", has_text="<img src=x onerror=document.title=1>red").first
    line.wait_for()
    assert line.locator("img").count() == 0
    assert line.locator(".jp-Containers-ansi-red").inner_text() == "red"
    lab.api("DELETE", "environments/evil")


def test_the_launcher_and_the_kernel_picker_tell_states(screen, lab, shoot):
    cards = screen.page.locator(".jp-LauncherCard[data-category=Notebook]")
    cards.filter(has_text="Physics 1 (ready)").wait_for()
    cards.filter(has_text="waits (not built)").wait_for()
    assert cards.filter(has_text="(container)").count() == 0  # one card for each
    shoot("launcher")

    cards.filter(has_text="Physics 1 (ready)").click()
    screen.wait_for_kernel()
    screen.page.locator(".jp-Toolbar-kernelName").click()
    dialog = screen.page.locator(".jp-Dialog-content")
    options = dialog.locator("optgroup").first
    assert options.get_attribute("label") == "Start in an Environment"
    texts = options.locator("option").all_inner_texts()
    assert any(text.startswith("Physics 1 — ready") for text in texts)
    shoot("picker", ".jp-Dialog-content")
    assert screen.find_violations(".jp-Dialog-content") == []
    dialog.locator("select").select_option(label="waits — not built")
    screen.accept()
    # The kernel waits for its build, whose log comes into sight.
    log = screen.page.locator(".jp-Containers-log")
    log.get_by_text(re.compile("waits is (being built|ready)")).wait_for()  # one that is quick is never seen to run
    shoot("chosen-not-built")
    log.get_by_text("waits is ready").wait_for(timeout=90_000)
    screen.wait_for_kernel()
    screen.menu(screen.section("running").locator("li").first, "Stop…")
    screen.accept()
