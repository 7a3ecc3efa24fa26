from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_containers.errors import LimitError
from jupyter_containers.runtime.gpu import Gpus, choose_gpus, list_driver_libraries

CACHE = """\
1234 libs found in cache `/etc/ld.so.cache'
\tlibnvidia-ml.so.1 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1
\tlibcuda.so.1 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libcuda.so.1
\tlibcuda.so.1 (libc6) => /usr/lib/i386-linux-gnu/libcuda.so.1
\tlibc.so.6 (libc6,x86-64, OS ABI: Linux 3.2.0) => /lib/x86_64-linux-gnu/libc.so.6
"""


def devices(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).touch()
    return folder


def test_the_drivers_libraries_are_found_in_the_linkers_cache() -> None:
    assert [path.name for path in list_driver_libraries(CACHE)] == ["libnvidia-ml.so.1", "libcuda.so.1"]
    assert all("x86_64" in str(path) for path in list_driver_libraries(CACHE))


def test_devices_and_libraries(tmp_path: Path) -> None:
    dev = devices(tmp_path, "nvidia0", "nvidia1", "nvidia10", "nvidiactl", "nvidia-uvm", "null")
    gpus = choose_gpus(2, dev=dev, libraries=[Path("/usr/lib/libcuda.so.1")])
    assert [bind.target for bind in gpus.binds] == [
        "/dev/nvidia0",
        "/dev/nvidia1",
        "/dev/nvidiactl",
        "/dev/nvidia-uvm",
        "/run/nvidia/libcuda.so.1",
    ]
    assert all(bind.device for bind in gpus.binds[:4])
    assert dict(gpus.env) == {"LD_LIBRARY_PATH": "/run/nvidia", "NVIDIA_VISIBLE_DEVICES": "0,1"}


def test_what_is_missing_refuses(tmp_path: Path) -> None:
    assert choose_gpus(0, dev=tmp_path) == Gpus()
    with pytest.raises(LimitError, match="has 0"):
        choose_gpus(1, dev=tmp_path, libraries=[])
    with pytest.raises(LimitError, match="libcuda"):
        choose_gpus(1, dev=devices(tmp_path, "nvidia0"), libraries=[])
