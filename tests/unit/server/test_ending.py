"""The server's end, with kernels that can't be ended, or take too long."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_containers.errors import ContainerError


@pytest.fixture
def started(kernel, start):
    """``await started(2)`` → the ids of so many kernels."""

    async def started(count: int) -> list[str]:
        kernel.go.set()
        return [(await start())[1]["id"] for _ in range(count)]

    return started


async def test_all_end_though_one_can_not_be_ended(started, jp_serverapp, monkeypatch, caplog):
    one, two, three = await started(3)
    manager = jp_serverapp.kernel_manager
    cleanup = manager.get_kernel(two).provisioner.cleanup

    async def fail(**options):
        raise ContainerError("its folder can't be removed")

    monkeypatch.setattr(manager.get_kernel(two).provisioner, "cleanup", fail)
    with caplog.at_level("WARNING"):
        await manager.shutdown_all(now=True)
    assert one not in manager and three not in manager
    assert f"kernel {two} could not be ended in order: its folder can't be removed" in caplog.text
    await cleanup()


async def test_what_takes_too_long_is_not_waited_for(started, jp_serverapp, monkeypatch, caplog):
    (one,) = await started(1)
    manager = jp_serverapp.kernel_manager
    shut_down = manager.shutdown_kernel

    async def never(kernel_id, **options):
        await asyncio.Event().wait()

    monkeypatch.setattr(manager, "shutdown_kernel", never)
    monkeypatch.setattr(manager, "end_patience", 0.01)
    with caplog.at_level("WARNING"):
        await manager.shutdown_all(now=True)
    assert "1 of 1 kernels have not ended within 0.01 s" in caplog.text
    await shut_down(one, now=True)
    assert manager.list_kernel_ids() == []
