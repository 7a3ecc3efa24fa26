"""JupyterLab or Notebook on the loopback, and what is before its user in a real Chromium (Debian's)."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jupyter_containers.paths import Paths

PROJECT = Path(__file__).parents[2]
BUILT = PROJECT / "jupyter_containers" / "labextension" / "package.json"
AXE = PROJECT / "labextension" / "node_modules" / "axe-core" / "axe.min.js"

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
CHROMIUM_ARGS = [
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever else the browser would look up (autofill, accounts, updates) fails at once.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


class Lab:
    """A server that can be ended and started again at the same address."""

    def __init__(
        self,
        folder: Path,
        home: Path,
        runtime: Path,
        *,
        app: str = "jupyterlab",
        options: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> None:
        """*app*: the module of its page; *options*: more of its command line; *without*: front end extensions."""
        self.app = app
        self.options = options
        self.root = folder / "root"
        self.token = secrets.token_hex(16)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "server.log"
        config = folder / "config"
        for path in (self.root, config / "labconfig"):
            path.mkdir(parents=True)
        # No news and no update check: nothing is asked of the outside world.
        disabled = dict.fromkeys(("@jupyterlab/apputils-extension:announcements", *without), True)
        (config / "labconfig" / "page_config.json").write_text(json.dumps({"disabledExtensions": disabled}))
        self.env = os.environ | {
            "JUPYTER_CONTAINERS_HOME": str(home),
            "JUPYTER_CONTAINERS_RUNTIME_DIR": str(runtime),
            "JUPYTER_CONFIG_DIR": str(config),
            "JUPYTER_DATA_DIR": str(folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "IPYTHONDIR": str(folder / "ipython"),
            "JUPYTER_TOKEN": self.token,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        own = "LabApp" if self.app == "jupyterlab" else "JupyterNotebookApp"
        command = [
            sys.executable, "-m", self.app, "--no-browser", "--allow-root",
            "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0",
            f"--ServerApp.root_dir={self.root}", "--LabApp.extension_manager=readonly",
            f"--{own}.expose_app_in_browser=True", "--ContainerProvisioner.accept_unenforced=memory",
            *self.options,
        ]  # fmt: skip
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.root, env=self.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        for _ in range(600):
            if self._process.poll() is not None:
                break
            try:
                self.api("GET", "version")
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"{self.app} does not start:\n{self.log.read_text()[-4000:]}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def api(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}/{'api/' if path.startswith('sessions') else 'jupyter-containers/api/'}{path}",
            method=method,
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json"},
            data=None if body is None else json.dumps(body).encode(),
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def end_kernels(self) -> None:
        """Shut down what notebooks run; the next test finds nothing."""
        for session in self.api("GET", "sessions"):
            with contextlib.suppress(urllib.error.HTTPError):  # it has just ended by itself
                self.api("DELETE", f"sessions/{session['id']}")

    def environment(self, name: str) -> dict[str, Any]:
        return next(item for item in self.api("GET", "environments") if item["name"] == name)


def forget_all(paths: Paths) -> None:
    """Remove what an earlier run has left. Layers stay in the store, so what was built is built again in no time."""
    from jupyter_containers.environments import Environments

    with Environments(paths) as environments:
        for container in environments.containers(all=True):
            environments.container(container.id).remove(force=True)
        for environment in environments.list():
            environments.forget(environment.name, image=True)
        for image in environments.storage.images():
            environments.storage.remove(image.digest)
    for folder in paths.builds.iterdir():
        shutil.rmtree(folder)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Theme(NamedTuple):
    name: str
    suffix: str


class Screen:
    """JupyterLab in a browser, as a user has it before them. ``page`` is Playwright's."""

    light = Theme("JupyterLab Light", "light")
    dark = Theme("JupyterLab Dark", "dark")
    high_contrast = Theme("JupyterLab Dark High Contrast", "high-contrast")

    def __init__(self, page: Any, lab: Lab) -> None:
        self.page = page
        self.lab = lab

    def open(self, *, reset: bool = True) -> None:
        """Load the page; with *reset* as for the first time, and with the panel in front."""
        self.page.goto(f"{self.lab.url}/lab?token={self.lab.token}{'&reset' if reset else ''}")
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")
        if reset:
            self.page.wait_for_selector(".jp-LauncherCard")
            self.page.locator(".lm-TabBar-tab[data-id='jupyter-containers']").click()
            self.page.wait_for_selector("#jupyter-containers:visible")

    def execute(self, command: str, **arguments: Any) -> None:
        """Run a command of JupyterLab, without waiting for its end: it may ask something."""
        self.page.evaluate("([id, args]) => void window.jupyterapp.commands.execute(id, args)", [command, arguments])

    def section(self, name: str) -> Any:
        return self.page.locator(f"#jupyter-containers-{name}")

    def row(self, section: str, key: str) -> Any:
        """The row of a thing in a section of the panel."""
        return self.section(section).locator(f"li[data-key='{key}']")

    def menu(self, row: Any, label: str) -> None:
        """Choose from the menu of a row."""
        row.locator("[aria-haspopup=menu]").click()
        self.page.locator(".lm-Menu-item", has_text=label).click()

    def accept(self) -> None:
        """Press the button of a dialog that does it."""
        self.page.locator(".jp-Dialog .jp-mod-accept, .jp-Dialog .jp-mod-warn").last.click()
        self.page.locator(".jp-Dialog").wait_for(state="detached")

    def press_in_dialog(self, key: str) -> None:
        """Press *key* once the dialog has the focus: it is seen before it has it, and a key until then is lost."""
        self.page.wait_for_function("document.activeElement?.closest('.jp-Dialog')")
        self.page.keyboard.press(key)
        self.page.locator(".jp-Dialog").wait_for(state="detached")

    def wait_for_kernel(self, *, timeout: float = 60_000) -> None:
        # The page's own "idle" sign shows before the kernel is connected, and a cell that is run then is lost without
        # a word: the application is asked.
        self.page.wait_for_function(
            """() => {
                const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
                const kernel = context?.session?.kernel;
                return context?.isReady && kernel?.connectionStatus === 'connected' && kernel?.status === 'idle';
            }""",
            timeout=timeout,
        )

    def run_cell(self, source: str) -> str:
        """Run *source* in the first cell of the notebook in front, and return what it puts out."""
        self.wait_for_kernel()
        return self.run_in(0, source)

    def run_in(self, number: int, source: str) -> str:
        """Run *source* in a cell of the notebook in front, whatever its kernel does, and return what it puts out."""
        cell = self.page.locator(".jp-NotebookPanel:visible .jp-Notebook .jp-Cell").nth(number)
        cell.locator(".cm-content").click()
        self.page.keyboard.insert_text(source)
        self.page.keyboard.press("Shift+Enter")
        output = cell.locator(".jp-OutputArea-output pre").first
        output.wait_for()
        return str(output.inner_text()).strip()

    def wear(self, theme: Theme) -> None:
        script = "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})"
        self.page.evaluate(script, theme.name)
        self.page.wait_for_selector(f"body[data-jp-theme-name='{theme.name}']", state="attached")
        self.page.wait_for_timeout(300)  # the style sheet of the theme comes after its name

    def find_violations(self, selector: str) -> list[str]:
        """What axe finds against WCAG 2.2, levels A and AA, in a part of the page."""
        if not AXE.exists():
            pytest.skip("axe is not installed: `cd labextension && npm ci`")
        if self.page.evaluate("() => !window.axe"):
            self.page.add_script_tag(path=str(AXE))
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
        result = self.page.evaluate(
            "([selector, tags]) => axe.run(selector, {runOnly: {type: 'tag', values: tags}})", [selector, tags]
        )
        return [
            f"{violation['id']}: {violation['help']}\n    {node['html'][:300]}\n    {node['failureSummary']}"
            for violation in result["violations"]
            for node in violation["nodes"]
        ]
