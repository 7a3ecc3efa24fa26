"""New environments, and the editor that shows a spec as form and as text."""

from __future__ import annotations

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

pytestmark = [pytest.mark.slow, pytest.mark.network]


def test_from_a_requirements_file_to_the_first_cell(screen, lab, shoot):
    page = screen.page
    folder = lab.root / "course"
    folder.mkdir()
    (folder / "requirements.txt").write_text("six\nidna>=3\n")
    page.evaluate("window.jupyterapp.commands.execute('filebrowser:open-path', {path: 'course'})")
    screen.execute("jupyter-containers:new-environment")
    dialog = page.locator(".jp-Dialog")
    dialog.get_by_text("What is it to be made of?").wait_for()
    dialog.locator("input[value=file]").check()
    assert dialog.locator("select").input_value() == "course/requirements.txt"
    shoot("new-environment", ".jp-Dialog-content")
    assert screen.find_violations(".jp-Dialog-content") == []
    screen.accept()

    spec = page.locator(".jp-Containers-spec")
    spec.get_by_text("It will be written to").wait_for()
    text = spec.locator(".cm-content")
    text.get_by_text("idna").first.wait_for()
    name = spec.get_by_label("name", exact=True)
    expect(name).to_have_value("course")  # the form has what the text says

    # What the form changes is in the text, and the comments stay.
    comment = text.locator(".cm-line", has_text="#").first.inner_text()
    name.fill("my-course")
    text.locator(".cm-line", has_text='name = "my-course"').wait_for()
    assert text.locator(".cm-line", has_text="#").first.inner_text() == comment
    spec.get_by_text("Nothing is wrong with it.").wait_for()

    # And the other way round; what is wrong is told as the command line tells it.
    text.click()
    page.keyboard.press("Control+Home")
    page.keyboard.insert_text('display-name = "My course"\nnetwrok = "full"\n')
    problem = spec.locator(".jp-Containers-problems li")
    problem.get_by_text("netwrok").wait_for()
    assert "Line 2" in problem.inner_text()
    assert spec.get_by_label("display-name", exact=True).input_value() == "My course"
    shoot("problems")
    assert screen.find_violations(".jp-Containers-spec") == []
    page.keyboard.press("Control+Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Control+Shift+K")
    spec.get_by_text("Nothing is wrong with it.").wait_for()
    shoot("spec")

    page.get_by_role("button", name="Save and Build").click()
    log = page.locator(".jp-Containers-log")
    log.get_by_text("my-course is ready").wait_for(timeout=120_000)
    page.locator(".Toastify__toast", has_text="my-course is ready").wait_for()
    assert 'display-name = "My course"' in (folder / "jupyter-container.toml").read_text()
    log.get_by_role("button", name="Start a notebook").click()
    assert screen.run_cell("import idna; print(idna.encode('x'))") == "b'x'"


def test_a_file_that_changed_meanwhile_is_not_overwritten_unasked(screen, lab):
    page = screen.page
    screen.menu(screen.row("environments", "waits"), "Edit the Spec")
    text = page.locator(".jp-Containers-spec .cm-content")
    text.click()
    page.keyboard.press("Control+Home")
    page.keyboard.insert_text("# mine\n")
    file = lab.root / "waits" / "jupyter-container.toml"
    before = file.read_text()
    file.write_text(before + "# theirs\n")
    screen.execute("jupyter-containers:save-spec")
    page.locator(".jp-Dialog").get_by_text("The file has changed meanwhile").wait_for()
    page.locator(".jp-Dialog .jp-mod-reject").click()
    assert file.read_text() == before + "# theirs\n"
    screen.execute("jupyter-containers:save-spec")
    page.locator(".jp-Dialog").get_by_text("The file has changed meanwhile").wait_for()
    screen.accept()
    page.locator(".Toastify__toast", has_text="is saved").wait_for()
    assert file.read_text() == "# mine\n" + before


def test_a_package_is_found_and_added(screen, lab):
    page = screen.page
    # The index itself is asked in other tests; here its answers are made up.
    page.route(
        "**/api/packages?*",
        lambda route: route.fulfill(
            json={
                "items": [{"name": "polars", "version": "1.9", "summary": "Frames", "requires_python": ""}],
                "source": "https://pypi.org/simple",
                "complete": True,
            }
        ),
    )
    page.route(
        "**/api/packages/polars?*",
        lambda route: route.fulfill(json={"name": "polars", "versions": ["1.9"], "summary": ""}),
    )
    screen.menu(screen.row("environments", "failing"), "Edit the Spec")
    spec = page.locator(".jp-Containers-spec")
    spec.get_by_text("Nothing is wrong with it.").wait_for()
    spec.get_by_label("Add a Python package").fill("pol")
    spec.locator("[role=option]", has_text="polars").click()
    spec.get_by_label("Version of polars").select_option(">=1.9")
    spec.locator(".jp-Containers-versions").get_by_role("button", name="Add").click()
    spec.locator(".cm-line", has_text='"polars>=1.9"').wait_for()
