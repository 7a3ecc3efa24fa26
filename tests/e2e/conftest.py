"""A real JupyterLab on the loopback, driven by a real Chromium (Debian's), with real environments.

They are kept in a home of their own beside the shared one, so that the second run finds them built. Every test has a
page of its own; the server is shared.

    pytest tests/e2e                          the tests
    pytest tests/e2e --screenshots FOLDER     and pictures of what they show, in light and in dark

``scripts/screenshots`` takes those of the documentation.
"""

from __future__ import annotations

import io
import json
import os
import random
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from labs import BUILT, CHROMIUM, CHROMIUM_ARGS, Lab, Screen, forget_all

from jupyter_containers.paths import Paths

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("jupyterlab", reason="JupyterLab is not installed")

SIX = '\n[packages]\npip = ["six"]\n\n'
SALT = secrets.token_hex(4)
"""In a step it makes it a new one, so that there is a build to look at in each run."""

SMALL = [
    "six", "idna", "toolz", "iniconfig", "pluggy", "attrs", "certifi", "colorama", "tomli", "zipp", "mdurl",
    "webencodings", "defusedxml", "parso",
]  # fmt: skip

SPECS = {
    "physics": f'name = "physics"\ndisplay-name = "Physics 1"\n{SIX}',
    "slow": f'name = "slow"\n{SIX}[build]\nrun = ["for i in $(seq 9); do echo line $i; sleep 1; done; echo {SALT}"]\n',
    "waits": f'name = "waits"\n\n[packages]\npip = {json.dumps(random.sample(SMALL, 4))}\n',
    "failing": f'name = "failing"\n{SIX}[build]\nrun = ["echo before it fails; exit 3"]\n',
    "long": f'name = "an-environment-with-a-rather-long-name-for-a-narrow-panel"\n{SIX}',
}
"""Environments in the server's root folder, by folder."""


CONTRAST = {"panel", "running", "failed", "picker", "spec", "trust", "failed-in-notebook"}
"""Pictures that are taken in high contrast too."""

NEUTRAL = """() => document.querySelectorAll('.jp-Containers-findings > li').forEach(item => {
    const [name, found] = [...item.querySelectorAll('p')];
    if (name.textContent.startsWith('kernel')) {
        found.textContent = found.textContent.replace(/^Linux [^ ]+/, 'Linux 6.12.0');
    }
    item.style.display = name.textContent.startsWith('surroundings') ? 'none' : '';
})"""
"""The machine that pictures are taken on is nobody's matter."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", metavar="FOLDER", help="keep pictures of what the browser tests show")
    parser.addoption(
        "--root", metavar="FOLDER", help="an empty folder for the server to show, for its name in pictures"
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These tests last: Playwright's event loop runs in this thread until the session ends, and no other can."""
    items.sort(key=lambda item: Path(__file__).parent in item.path.parents)


def _lack(what: str) -> None:
    """Skip for want of *what*, but not where nobody would see it."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def lab(shared_home: Paths, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A running server; ``physics`` is built, the other environments of ``SPECS`` are not."""
    from jupyter_containers.build.ensure import ensure_built

    if not BUILT.exists():
        _lack("the front end is not built: `cd labextension && npm ci && npm run build`")
    home = shared_home.home.with_name(f"{shared_home.home.name}-e2e")
    runtime = Path(tempfile.mkdtemp(prefix="jc-", dir="/tmp"))
    paths = Paths(home, runtime).made()
    forget_all(paths)
    server = Lab(tmp_path_factory.mktemp("lab"), home, runtime)
    server.root = Path(request.config.getoption("--root", default=None) or server.root)
    for name, text in SPECS.items():
        folder = server.root / name
        folder.mkdir()
        (folder / "jupyter-container.toml").write_text(text)
    ensure_built(server.root / "physics", paths=paths)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if not shutil.which(CHROMIUM):
        _lack(f"there is no Chromium at {CHROMIUM}")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture
def screen(browser: Any, lab: Lab) -> Iterator[Screen]:
    """JupyterLab with the panel in front. A test fails where the page has thrown an error."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    context.set_default_timeout(30_000)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    screen = Screen(page, lab)
    screen.open()
    yield screen
    context.close()
    lab.end_kernels()
    assert errors == []


def made_small(picture: bytes) -> bytes:
    """The PNG *picture* with 256 colours, where Pillow is there to do it: a quarter of the bytes."""
    try:
        from PIL import Image
    except ImportError:
        return picture
    small = io.BytesIO()
    few = (
        Image.open(io.BytesIO(picture))
        .convert("RGB")
        .quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    )
    few.save(small, "PNG", optimize=True)
    return small.getvalue()


@pytest.fixture
def shoot_page(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Keep a picture in light and in dark, where pictures are wanted."""
    folder = request.config.getoption("--screenshots", default=None)

    def shoot(name: str, screen: Screen, selector: str = "") -> None:
        if not folder:
            return
        themes = [screen.dark, screen.light]
        if name in CONTRAST and screen.lab.app == "jupyterlab":
            themes.insert(0, screen.high_contrast)
        for theme in themes:
            screen.wear(theme)
            screen.page.evaluate(NEUTRAL)
            target = screen.page.locator(selector) if selector else screen.page
            picture = target.screenshot(animations="disabled", caret="hide")
            (Path(folder) / f"{name}-{theme.suffix}.png").write_bytes(made_small(picture))

    return shoot


@pytest.fixture
def shoot(shoot_page: Callable[..., None], screen: Screen) -> Callable[..., None]:
    """The same for the one page of a test."""
    return lambda name, selector="": shoot_page(name, screen, selector)
