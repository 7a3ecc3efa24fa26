"""The panel in JupyterLab with 200 environments and 200 running containers, against JupyterLab without the extension.

Both are real servers, in one headless Chromium, in turns; what the panel is told is made up (``fleet.py``). The peer of
the panel's own lists is the file browser, with a list of 200 files.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from .fleet import CONTAINERS, ENVIRONMENTS
from .measure import Row, compare
from .setup import Bench

sys.path.append(str(Path(__file__).parents[1] / "tests" / "shared"))

QUESTION = f"panel with {ENVIRONMENTS} environments and {CONTAINERS} containers"
PEER = "JupyterLab alone"
RUNS = 5
WATCHED = 10.0
"""Seconds of measurements that stream in."""

PROBE = """
window.probe = {delays: [], keys: []};
{
    // How late a timer of 10 ms comes is how long something else had the page's only thread.
    let last = performance.now();
    setInterval(() => { const now = performance.now(); probe.delays.push(now - last - 10); last = now; }, 10);
    // From the key to the frame that shows it.
    addEventListener('keydown', event => requestAnimationFrame(() => {
        const channel = new MessageChannel();
        channel.port1.onmessage = () => probe.keys.push(performance.now() - event.timeStamp);
        channel.port2.postMessage(null);
    }), true);
    const isFull = () => %s;
    probe.full = new Promise(resolve => {
        const look = () => isFull() ? resolve(performance.now()) : requestAnimationFrame(look);
        requestAnimationFrame(look);
    });
}
"""

FULL = f"""
    document.querySelector('.jp-LauncherCard')
    && document.querySelectorAll('#jupyter-containers-environments li').length >= {ENVIRONMENTS}
    && document.querySelectorAll('#jupyter-containers-running .jp-Containers-figure svg').length > 0
    && document.querySelectorAll('#jupyter-containers-running li').length >= {CONTAINERS}
"""
FULL_PEER = "document.querySelector('.jp-LauncherCard') && document.querySelector('.jp-DirListing-item')"

SCROLL = """
async selector => {
    const node = document.querySelector(selector);
    const frames = [];
    let last = performance.now();
    for (node.scrollTop = 0; node.scrollTop + node.clientHeight < node.scrollHeight - 1; node.scrollTop += 120) {
        await new Promise(resolve => requestAnimationFrame(resolve));
        const now = performance.now();
        frames.push(now - last);
        last = now;
    }
    return frames;
}
"""


class Side:
    """A JupyterLab of its own, and a page of it."""

    def __init__(self, folder: Path, *, is_peer: bool) -> None:
        from labs import Lab

        extensions = "{'benchmarks.fleet': True, 'jupyter_containers': False}"
        self.is_peer = is_peer
        self.lab = Lab(
            folder, folder / "home", folder / "run", options=[f"--ServerApp.jpserver_extensions={extensions}"],
            without=["jupyter-containers"] if is_peer else [],
        )  # fmt: skip
        self.lab.env["PYTHONPATH"] = str(Path(__file__).parents[1])
        for index in range(ENVIRONMENTS):
            (self.lab.root / f"notebook-{index:03}.txt").write_text("")
        self.page: Any = None

    def open(self, browser: Any) -> None:
        """The first visit, as a user has left it: the panel in front (the peer: the file browser), a file open."""
        self.page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        self.page.add_init_script(PROBE % (FULL_PEER if self.is_peer else FULL))
        self.page.goto(f"{self.lab.url}/lab?token={self.lab.token}")
        self.page.wait_for_selector(".jp-LauncherCard")
        if not self.is_peer:
            self.page.locator(".lm-TabBar-tab[data-id='jupyter-containers']").click()
        self.page.evaluate("probe.full")
        self.page.wait_for_timeout(3000)  # JupyterLab keeps where everything stands

    def load(self) -> float:
        self.page.reload()
        return float(self.page.evaluate("probe.full")) / 1000

    def watch(self) -> float:
        """The longest time that the page could do nothing else in, while it stands there."""
        self.page.evaluate("probe.delays = []")
        self.page.wait_for_timeout(WATCHED * 1000)
        return float(max(self.page.evaluate("probe.delays"))) / 1000

    def type(self) -> float:
        """The slowest key in a file, over two measurements and more."""
        self.page.evaluate("void jupyterapp.commands.execute('docmanager:open', {path: 'notebook-000.txt'})")
        self.page.locator(".jp-FileEditor .cm-content").click()
        return self._keys("The quick brown fox jumps over the lazy dog. " * 2)

    def filter(self) -> float:
        """The slowest key of a word that the list is filtered by."""
        if self.is_peer:
            if not self.page.locator(".jp-FileBrowser-filterBox:visible").count():
                self.page.evaluate("void jupyterapp.commands.execute('filebrowser:toggle-file-filter')")
            box = self.page.locator(".jp-FileBrowser-filterBox input:visible")
        else:
            box = self.page.locator("#jupyter-containers-environments input[type=search]")
        box.click()
        slowest = self._keys("notebook-1" if self.is_peer else "genomics-1")
        box.fill("")
        return slowest

    def scroll(self) -> float:
        """The longest frame from the top of the list to its end."""
        selector = ".jp-DirListing-content" if self.is_peer else "#jupyter-containers-running .jp-Containers-list"
        return float(max(self.page.evaluate(SCROLL, selector))) / 1000

    def _keys(self, text: str) -> float:
        self.page.evaluate("probe.keys = []")
        self.page.keyboard.type(text, delay=50)
        self.page.wait_for_timeout(200)
        return float(max(self.page.evaluate("probe.keys"))) / 1000


def rows() -> Iterator[Row]:
    try:
        from labs import CHROMIUM, CHROMIUM_ARGS
        from playwright.sync_api import sync_playwright
    except ImportError as missing:
        yield Row(QUESTION, "", "", None, "", f"left out: {missing} (`scripts/environment browser`)")
        return
    if not shutil.which(CHROMIUM):
        yield Row(QUESTION, "", "", None, "", f"left out: there is no {CHROMIUM}")
        return
    with ExitStack() as stack:
        bench = stack.enter_context(Bench())
        ours, peer = Side(bench.folder("panel"), is_peer=False), Side(bench.folder("alone"), is_peer=True)
        for side in (ours, peer):
            stack.callback(side.lab.stop)
            side.lab.start()
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        stack.callback(browser.close)
        for side in (ours, peer):
            side.open(browser)
        named: list[tuple[str, Callable[[Side], float], str, str]] = [
            ("page loaded and all of it there", Side.load, "≤ 1.2", "the peer: the launcher and the files"),
            ("longest time the page is held up, while measurements come", Side.watch, "≤ 50 ms", f"{WATCHED:.0f} s"),
            ("slowest key in a file, while measurements come", Side.type, "≤ 50 ms", "90 keys"),
            ("slowest key in the list's filter", Side.filter, "≤ 50 ms", "the peer: the file browser's"),
            ("longest frame, scrolling through 200 containers", Side.scroll, "≤ 50 ms", "the peer: 200 files"),
        ]
        for question, work, aim, note in named:
            yield compare(
                f"{QUESTION}: {question}", lambda work=work: work(ours), lambda work=work: work(peer),
                peer_name=PEER, runs=RUNS, aim=aim, note=note,
            )  # fmt: skip
