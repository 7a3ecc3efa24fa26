from __future__ import annotations

import pytest

from jupyter_containers.runtime.ending import MemoryEnd, describe_end

FULL = MemoryEnd(kills=1, limit=512 << 20, peak=512 << 20)


@pytest.mark.parametrize(
    ("code", "memory", "reason", "told"),
    [
        (0, None, "", ""),
        (3, None, "", "exit code 3"),
        (137, None, "", "killed by SIGKILL"),
        (130, MemoryEnd(0, 1 << 30, 5), "", "killed by SIGINT"),
        (255, None, "", "exit code 255"),
        (137, FULL, "", "out of memory (limit 512 MiB, peak 512 MiB)"),
        (137, MemoryEnd(1, None, None), "", "out of memory"),
        (1, FULL, "", "exit code 1; 1 of its processes killed: out of memory (limit 512 MiB, peak 512 MiB)"),
        (0, FULL, "", "1 of its processes killed: out of memory (limit 512 MiB, peak 512 MiB)"),
        (137, FULL, "out of disk", "out of disk"),
    ],
)
def test_causes(code: int, memory: MemoryEnd | None, reason: str, told: str) -> None:
    assert describe_end(code, memory=memory, reason=reason) == told
