"""Boot a machine of its own and run the tests of this folder in it: a host with systemd and control groups v2 alone.

    python tests/vm/boot.py [FOLDER]

Needs qemu-system-x86 and e2fsprogs, and the package archives at the first run. No root and no KVM: the processor is
emulated, so it takes minutes. The machine is an environment of this program (tests/vm/machine), its disk the image's
layers in an ext4 file. FOLDER (default: /var/tmp/jupyter-containers-vm-UID) keeps what was built, and the console's
log.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from jupyter_containers.environments import Environments
from jupyter_containers.image.model import Image
from jupyter_containers.lock.uv import uv_environment, uv_path
from jupyter_containers.paths import Paths

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86", "mke2fs": "e2fsprogs", "unshare": "util-linux"}
"""What it takes and the Debian package that has it."""

SMALL = 'name = "small"\n'
"""The environment that containers in the machine are of."""

TESTS = (
    "tests/vm/inside",  # beside the fixtures that it shares with the runtime's tests
    "tests/integration/runtime/conftest.py",
    "tests/integration/runtime/test_limits.py",
    "tests/integration/runtime/test_adjusting.py",
    "tests/integration/runtime/test_pausing.py",
    "tests/integration/sandbox/conftest.py",
    "tests/integration/sandbox/test_limits.py",
)
ACCELERATOR = os.environ.get("JUPYTER_CONTAINERS_TEST_ACCELERATOR", "tcg")
"""``kvm`` is many times as quick, where the host has it and it works (nested, it often does not)."""
MEGABYTES = 4096
SECONDS = 3600.0


def missing_programs() -> list[str]:
    """Debian packages that have to be installed first."""
    return sorted({package for program, package in PROGRAMS.items() if _find(program) is None})


def _find(program: str) -> str | None:
    return shutil.which(program, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")


def default_folder() -> Path:
    return Path(f"/var/tmp/jupyter-containers-vm-{os.geteuid()}")


def main(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    disk, console, results = folder / "disk.img", folder / "console.log", folder / "results.log"
    with Environments(Paths(folder / "home", folder / "run").made()) as environments:
        machine = build_machine(environments, folder / "machine")
        store = build_store(folder / "inner")
    make_disk(machine, store, disk)
    kernel, initrd = (_boot_file(machine, name) for name in ("vmlinuz", "initrd.img"))
    return boot(disk, kernel, initrd, console=console, results=results)


def build_machine(environments: Environments, folder: Path) -> Image:
    """The image of tests/vm/machine with this package and the tests in it."""
    shutil.rmtree(folder / "tests", ignore_errors=True)
    for old in folder.glob("*.whl"):
        old.unlink()
    shutil.copytree(HERE / "machine", folder, dirs_exist_ok=True)
    # Without the browser's part, which takes Node.js and longer than all else.
    environment = {**uv_environment(), "HATCH_BUILD_NO_HOOKS": "true"}
    command = [str(uv_path()), "build", "--quiet", "--wheel", "--out-dir", str(folder), str(REPOSITORY)]
    subprocess.run(command, check=True, env=environment)
    (wheel,) = folder.glob("*.whl")
    spec = folder / "jupyter-container.toml"
    spec.write_text(spec.read_text().replace("WHEEL", wheel.name))
    for name in TESTS:
        source, target = REPOSITORY / name, folder / name.replace("tests/vm/inside", "tests/integration/runtime")
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)
    (folder / "tests/pytest.ini").write_text("[pytest]\naddopts = -q\ntimeout = 600\n")
    return environments.build(folder, kernelspec=False).image


def build_store(folder: Path) -> Path:
    """A home with the environment ``small``, for the machine's users."""
    paths = Paths(folder / "home", folder / "run").made()
    spec = paths.home / "spec"
    spec.mkdir(exist_ok=True)
    (spec / "jupyter-container.toml").write_text(SMALL)
    with Environments(paths) as environments:
        environments.build(spec, kernelspec=False)
    shutil.rmtree(paths.store / "cache", ignore_errors=True)
    return paths.home


def make_disk(machine: Image, store: Path, disk: Path) -> None:
    """An ext4 file with the image's root, and *store* in /srv/store; all of it belongs to root."""
    layers = ":".join(str(layer.path) for layer in reversed(machine.layers))
    script = f"""set -e
    mkdir -p "$1" && mount -t overlay -o "ro,userxattr,lowerdir=$2" overlay "$1"
    mount --bind "$3" "$1/srv/store"
    rm -f "$4"
    {_find("mke2fs")} -q -t ext4 -O ^has_journal -E root_owner=0:0 -m 0 -d "$1" "$4" {MEGABYTES}M
    """
    namespaces = ["--mount"] if os.geteuid() == 0 else ["--mount", "--map-root-user"]
    arguments = [str(disk.parent / "root"), layers, str(store), str(disk)]
    subprocess.run(["unshare", *namespaces, "sh", "-c", script, "sh", *arguments], check=True)


def boot(disk: Path, kernel: Path, initrd: Path, *, console: Path, results: Path) -> int:
    """Boot it, print what the tests print, and return their exit status."""
    results.write_bytes(b"")
    console.write_bytes(b"")
    command = [
        "qemu-system-x86_64", "-machine", "q35", "-accel", ACCELERATOR, "-cpu", "max", "-smp", "2", "-m", "2048",
        "-display", "none", "-no-reboot", "-nic", "none",
        "-kernel", str(kernel), "-initrd", str(initrd),
        "-append", "root=/dev/vda rw console=ttyS0 systemd.show_status=1 quiet",
        "-drive", f"file={disk},format=raw,if=virtio,cache=unsafe",
        "-serial", f"file:{console}", "-serial", f"file:{results}",
    ]  # fmt: skip
    print(f"booting; its console: {console}", flush=True)
    begin, status = time.monotonic(), 1
    machine = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        with results.open(errors="replace") as stream:
            while time.monotonic() - begin < SECONDS:
                ended = machine.poll() is not None
                for line in stream.readlines():
                    print(line.rstrip("\r\n"), flush=True)
                    if line.startswith("exit status "):
                        status = int(line.split()[2])
                if ended:
                    break
                time.sleep(0.5)
    finally:
        machine.kill()
        machine.wait()
    print(f"the machine ran for {time.monotonic() - begin:.0f} s")
    return status


def _boot_file(machine: Image, name: str) -> Path:
    return next(file for layer in machine.layers for file in sorted((layer.path / "boot").glob(f"{name}-*")))


if __name__ == "__main__":
    lacking = missing_programs()
    if lacking:
        sys.exit(f"it takes more: apt-get install {' '.join(lacking)}")
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else default_folder()))
