"""An image for another architecture: locked anywhere, and built where an emulator is registered with the kernel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.build.builder import build
from jupyter_containers.build.emulation import find_emulator, host_architecture
from jupyter_containers.errors import HostError
from jupyter_containers.image.check import verify
from jupyter_containers.image.store import Store
from jupyter_containers.image.tree import remove_tree
from jupyter_containers.lock.file import read_lock, write_lock
from jupyter_containers.lock.resolve import resolve
from jupyter_containers.lock.settings import Settings
from jupyter_containers.paths import Paths
from jupyter_containers.runtime.base import ContainerConfig
from jupyter_containers.runtime.bundled import BundledRuntime
from jupyter_containers.spec.load import load_spec
from jupyter_containers.spec.model import LoadedSpec

pytestmark = [
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(host_architecture() != "amd64", reason="arm64 is foreign to x86-64 hosts"),
]

SPEC = 'name = "arm"\npython = "none"\n[kernel]\nargv = ["/bin/sh", "{connection_file}"]\n'
BINFMT = Path("/proc/sys/fs/binfmt_misc")
QEMU = shutil.which("qemu-aarch64-static")
ENTRY = (
    r":qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:" + f"{QEMU}:F"
)
"""Programs for 64-bit little-endian ARM (QEMU, scripts/qemu-binfmt-conf.sh); F: opened now, and so found in any root
(Documentation/admin-guide/binfmt-misc.rst)."""


@pytest.fixture(scope="module")
def paths(shared_home: Paths) -> Iterator[Paths]:
    """A home of its own: an environment for another architecture is nothing for other tests."""
    home = Path(tempfile.mkdtemp(prefix="arm64-", dir=shared_home.home))
    yield Paths(home, shared_home.runtime).made()
    remove_tree(home)


@pytest.fixture(scope="module")
def loaded(paths: Paths) -> LoadedSpec:
    """Locked for both architectures."""
    folder = paths.home / "spec"
    folder.mkdir()
    (folder / "jupyter-container.toml").write_text(SPEC)
    made = load_spec(folder)
    lock = resolve(made, paths=paths, settings=Settings.current(), architectures=("amd64", "arm64"))
    write_lock(made.lock_file, lock)
    return made


@pytest.fixture
def emulator() -> Iterator[None]:
    """One that is registered, or, as root, one of the test's own that goes with it."""
    if find_emulator("arm64") is not None:
        yield
        return
    if QEMU is None or os.geteuid() != 0:
        pytest.skip("no emulator for arm64 is registered, and only root can do that (with qemu-user-static installed)")
    mounted = not (BINFMT / "register").exists()
    if mounted and subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT)], check=False).returncode:
        pytest.skip("binfmt_misc can't be mounted here")
    try:
        try:
            (BINFMT / "register").write_text(ENTRY)
        except OSError as error:
            pytest.skip(f"no emulator can be registered here: {error.strerror}")
        yield
        (BINFMT / "qemu-aarch64").write_text("-1")
    finally:
        if mounted:
            subprocess.run(["umount", str(BINFMT)], check=True)


def test_both_architectures_are_in_the_lock(loaded):
    packages = read_lock(loaded.lock_file).base.packages
    assert set(packages) == {"amd64", "arm64"}
    assert {item.architecture for item in packages["arm64"]} == {"arm64", "all"}
    names = [{item.name for item in packages[architecture]} for architecture in ("amd64", "arm64")]
    assert names[0] & names[1] > {"dpkg", "libc6", "base-files"}


def test_without_an_emulator_it_is_said_what_is_missing(loaded, paths, monkeypatch):
    monkeypatch.setattr("jupyter_containers.build.emulation.find_emulator", lambda architecture: None)
    with pytest.raises(HostError) as caught:
        build_arm64(loaded, paths)
    assert "this machine is amd64 and no emulator for arm64 is registered" in caught.value.message
    assert re.search("install qemu-user-binfmt|qemu-user-static", caught.value.hint)
    store = Store(paths.store)
    assert verify(store) == ()
    assert (store.images(), list(store.folder("tmp").iterdir())) == ((), [])


def test_an_arm64_base_is_unpacked_configured_and_runs(loaded, paths, emulator):
    image = build_arm64(loaded, paths)
    assert image.config.architecture == "arm64"
    (base,) = image.layer_paths
    assert (base / "usr/bin/dpkg").read_bytes()[18:20] == b"\xb7\x00"  # ELF's e_machine: EM_AARCH64
    states = re.findall(r"^Status: (.*)$", (base / "var/lib/dpkg/status").read_text(), re.MULTILINE)
    assert set(states) == {"install ok installed"}
    runtime = BundledRuntime(paths, Store(paths.store))
    argv = ("/bin/sh", "-c", "uname -m; dpkg --print-architecture")
    container = runtime.create(ContainerConfig(image=image.digest, argv=argv, die_with_parent=True))
    try:
        container.start()
        assert container.wait(60) == 0
        assert container.logs().split() == ["aarch64", "arm64"]
    finally:
        container.remove(force=True)


def build_arm64(loaded: LoadedSpec, paths: Paths):
    return build(
        loaded, read_lock(loaded.lock_file), paths=paths, settings=Settings.current(), monitor=lambda event: None,
        architecture="arm64",
    )  # fmt: skip
