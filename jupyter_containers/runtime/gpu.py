"""NVIDIA GPUs: device nodes and the driver's libraries, which must be of the host's driver version.

The libraries lie outside of the image's folders, in ``/run/nvidia``, and are found by ``LD_LIBRARY_PATH`` (as NVIDIA's
own images have it): /usr may be read-only, and the image may have files of the same name.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import msgspec

from ..errors import LimitError
from ..sandbox.model import Bind

__all__ = ["Gpus", "choose_gpus", "list_driver_libraries"]

_INSIDE = "/run/nvidia"
_CONTROL = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")
_ENTRY = r"\s*(lib(?:cuda\.|cudadebugger|nvcuvid|nvidia-|nvoptix)\S*) \(([^)]*)\) => (\S+)"


class Gpus(msgspec.Struct, frozen=True):
    binds: tuple[Bind, ...] = ()
    env: tuple[tuple[str, str], ...] = ()


def choose_gpus(count: int, *, dev: Path = Path("/dev"), libraries: Iterable[Path] | None = None) -> Gpus:
    """Devices and libraries of *count* GPUs, the lowest numbers first.

    Raises :class:`LimitError` where the host has fewer, or its driver's libraries are not found.
    """
    if count <= 0:
        return Gpus()
    cards = sorted((path for path in dev.glob("nvidia[0-9]*")), key=lambda path: int(path.name.removeprefix("nvidia")))
    if len(cards) < count:
        raise LimitError(
            f"{count} GPU(s) were asked for; this host has {len(cards)} ({dev}/nvidia0 …)",
            hint="leave `gpus` out (--gpus), or load the NVIDIA driver: `nvidia-smi` shows what it sees",
        )
    found = list_driver_libraries() if libraries is None else list(libraries)
    if not any(path.name.startswith("libcuda.so") for path in found):
        raise LimitError(
            "the NVIDIA driver's libcuda.so is not among the host's libraries (`ldconfig -p`)",
            hint="install the driver's user-space libraries (on Debian: libcuda1) and run ldconfig",
        )
    nodes = [*cards[:count], *(dev / name for name in _CONTROL if (dev / name).exists())]
    return Gpus(
        binds=(
            *(Bind(node, f"/dev/{node.name}", writable=True, device=True) for node in nodes),
            *(Bind(path.resolve(), f"{_INSIDE}/{path.name}") for path in found),
        ),
        env=(
            ("LD_LIBRARY_PATH", _INSIDE),
            ("NVIDIA_VISIBLE_DEVICES", ",".join(card.name.removeprefix("nvidia") for card in cards[:count])),
        ),
    )


def list_driver_libraries(cache: str | None = None) -> list[Path]:
    """The 64-bit libraries of the driver in the linker's cache; *cache*: the text of ``ldconfig -p``."""
    if cache is None:
        try:
            cache = subprocess.run(
                ["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True, timeout=10
            ).stdout
        except (OSError, subprocess.SubprocessError):
            return []
    found: dict[str, Path] = {}
    for line in cache.splitlines():
        entry = re.fullmatch(_ENTRY, line)
        if entry and ("x86-64" in entry[2] or "AArch64" in entry[2]):
            found.setdefault(entry[1], Path(entry[3]))
    return list(found.values())
