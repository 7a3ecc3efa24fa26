"""An image made of one static busybox: small, and yet a whole system to look into."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_containers.image.model import ExecutionConfig, ImageConfig
from jupyter_containers.image.store import Store
from jupyter_containers.paths import Paths
from jupyter_containers.runtime.base import ContainerConfig
from jupyter_containers.runtime.bundled import BundledRuntime
from jupyter_containers.runtime.container import BundledContainer

BUSYBOX = next((path for path in ("/bin/busybox", "/usr/bin/busybox") if Path(path).exists()), None)


def busybox_is_static() -> bool:
    if BUSYBOX is None:
        return False
    found = subprocess.run([BUSYBOX, "--list"], capture_output=True, check=False, env={})
    return found.returncode == 0 and b"INTERP" not in Path(BUSYBOX).read_bytes()[:64] and not _has_interpreter(BUSYBOX)


def _has_interpreter(path: str) -> bool:
    return b"/ld-linux" in Path(path).read_bytes()[:4096] or b"/lib64/ld" in Path(path).read_bytes()[:4096]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if busybox_is_static():
        return
    reason = pytest.mark.skip(reason="needs a static busybox: apt-get install busybox-static")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(reason)


def make_image(store: Store, tag: str = "busybox", **execution: object) -> str:
    """The image's digest."""
    assert BUSYBOX is not None
    with store.lease(), store.staging() as staging:
        root = staging.upper
        for folder in ("usr/bin", "etc", "home/jovyan", "opt", "tmp", "var", "dev", "proc", "run", "sys"):
            (root / folder).mkdir(parents=True)
        (root / "tmp").chmod(0o1777)
        (root / "bin").symlink_to("usr/bin")
        shutil.copy(BUSYBOX, root / "usr/bin/busybox")
        for name in subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split():
            if name != "busybox":
                (root / "usr/bin" / name).symlink_to("busybox")
        (root / "usr/bin/lost-script").write_text("#!/no/such\n")
        (root / "usr/bin/lost-script").chmod(0o755)
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        for name in ("hosts", "hostname", "group"):
            (root / "etc" / name).touch()
        (root / "etc/remove-me").write_text("from the image\n")
        layer = store.commit_layer(root, created_by="busybox")
        config = ImageConfig(architecture="amd64", config=ExecutionConfig(**execution))  # type: ignore[arg-type]
        image = store.put_image(config, [layer])
        store.tag(tag, image.digest)
        return image.digest


class House:
    """A home of its own with the busybox image in it."""

    def __init__(self, folder: Path) -> None:
        self.paths = Paths(folder / "home", folder / "run").made()
        self.store = Store(self.paths.store)
        self.image = make_image(self.store)
        self.runtime = BundledRuntime(self.paths, self.store)

    def create(self, *argv: str, **fields: object) -> BundledContainer:
        values: dict[str, object] = {"image": self.image, "die_with_parent": True, "user": "jovyan", **fields}
        return self.runtime.create(ContainerConfig(argv=argv, **values))  # type: ignore[arg-type]

    def run(self, script: str, **fields: object) -> tuple[int, str]:
        """Exit code and output of a shell script."""
        container = self.create("sh", "-c", script, **fields)
        container.start()
        code = container.wait(30)
        text = container.logs()
        container.remove()
        return code, text

    def start(self, script: str, **fields: object) -> BundledContainer:
        container = self.create("sh", "-c", script, **fields)
        container.start()
        return container

    def eventually(self, condition: Callable[[], object], *, timeout: float = 15.0) -> None:
        """Wait until *condition* holds; fail when it does not come true."""
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, "it did not come true in time"
            time.sleep(0.02)

    def make_image(self, tag: str, **execution: object) -> str:
        return make_image(self.store, tag, **execution)

    @property
    def env(self) -> dict[str, str]:
        return {
            **os.environ,
            "JUPYTER_CONTAINERS_HOME": str(self.paths.home),
            "JUPYTER_CONTAINERS_RUNTIME_DIR": str(self.paths.runtime),
        }


@pytest.fixture(scope="session")
def house() -> Iterator[House]:
    # Not tmp_path: overlayfs refuses to lie on itself, and /tmp may be one; a short path also suits the sockets.
    folder = Path(tempfile.mkdtemp(prefix="jc-test-", dir=os.environ.get("JUPYTER_CONTAINERS_TEST_DIR")))
    house = House(folder)
    yield house
    for state in house.runtime.list(all=True):
        house.runtime.find(state.id).remove(force=True)
    shutil.rmtree(folder)
