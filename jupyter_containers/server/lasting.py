"""Kernels that go on when the server ends, and come back, with their notebooks, when the next one starts.

Off by default. A server that is set so (``c.ContainersExtension.keep_kernels_for = "10m"``) starts its kernels with a
monitor of their own; it leaves them alone when it ends, and the next server of the same root folder takes them over.
Where none does in that time, the monitor ends them, also after a ``kill -9``.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import ContainersError
from ..kernels.lasting import LastingKernel, NotebookSession, find_lasting, take_over, write_lasting

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

    from ..environments import Environments
    from ..paths import Paths
    from ..runtime.base import ContainerState
    from .service import Service

__all__ = ["LastingKernelsMixin", "adopt_kernels", "note_sessions"]

_NOTED = 2.0
"""Seconds between two looks at which notebooks the kernels belong to."""


class LastingKernelsMixin:
    """Goes in front of a subclass of jupyter_server's ``AsyncMappingKernelManager``: at the server's end kernels that
    outlive it are let go."""

    async def _async_shutdown_all(self, now: bool = False) -> None:
        for kernel_id in self.list_kernel_ids():  # type: ignore[attr-defined]
            if _lasts(self.get_kernel(kernel_id)):  # type: ignore[attr-defined]
                self._let_go(kernel_id)
        await super()._async_shutdown_all(now=now)  # type: ignore[misc]

    shutdown_all = _async_shutdown_all

    def _let_go(self, kernel_id: str) -> None:
        kernel: Any = self.get_kernel(kernel_id)  # type: ignore[attr-defined]
        self.log.info("kernel %s goes on without this server", kernel_id)  # type: ignore[attr-defined]
        kernel.stop_restarter()
        self.stop_watching_activity(kernel_id)  # type: ignore[attr-defined]
        self.stop_buffering(kernel_id)  # type: ignore[attr-defined]
        kernel._close_control_socket()
        kernel.cleanup_connection_file()
        self.remove_kernel(kernel_id)  # type: ignore[attr-defined]


def _lasts(kernel: Any) -> bool:
    container = getattr(kernel.provisioner, "container", None)
    return container is not None and bool(container.config.outlive) and container.poll() is None


async def adopt_kernels(serverapp: ServerApp, service: Service) -> list[str]:
    """Take over the kernels that earlier servers of this root folder have left; their ids."""
    found = await service.call_slow(lambda: _take(service.environments, serverapp.root_dir))
    adopted = []
    for state, record in found:
        try:
            await _adopt(serverapp, record)
        except Exception:
            # One kernel, whose kernelspec may be gone, must not keep the others from their server.
            serverapp.log.exception("kernel %s in container %s can't be taken over", record.kernel_id, state.name)
        else:
            adopted.append(record.kernel_id)
    return adopted


def _take(environments: Environments, root: str) -> list[tuple[ContainerState, LastingKernel]]:
    """In a thread."""
    paths = environments.paths
    return [
        (state, record)
        for state, record in find_lasting(paths, environments.runtime)
        if record.root in ("", root) and take_over(paths, state.id)
    ]


async def _adopt(serverapp: ServerApp, record: LastingKernel) -> None:
    """What a start does (MultiKernelManager, MappingKernelManager), around a kernel that runs already."""
    from jupyter_client.provisioning.factory import KernelProvisionerFactory
    from jupyter_server.prometheus.metrics import KERNEL_CURRENTLY_RUNNING_TOTAL

    manager: Any = serverapp.kernel_manager
    kernel, _, kernel_id = manager.pre_start_kernel(record.kernel_name, {"kernel_id": record.kernel_id})
    kernel.kernel_id, kernel.shutting_down, kernel._attempted_start = kernel_id, False, True
    kernel._launch_args = {"cwd": record.cwd, "env": _environment(record), "kernel_id": kernel_id}
    kernel.load_connection_info(record.connection)
    factory = KernelProvisionerFactory.instance(parent=manager)
    kernel.provisioner = factory.create_provisioner_instance(kernel_id, kernel.kernel_spec, parent=kernel)
    await kernel.provisioner.load_provisioner_info(record.provisioner)
    kernel.write_connection_file(jupyter_session=record.env.get("JPY_SESSION_NAME", ""))
    kernel.start_restarter()
    kernel._connect_control_socket()
    if not kernel.ready.done():
        kernel.ready.set_result(None)
    manager._kernels[kernel_id] = kernel
    manager._kernel_connections[kernel_id] = 0
    kernel.execution_state, kernel.reason = "starting", ""  # it says what it is when it next says anything
    await manager._finish_kernel_start(kernel_id)
    active = await asyncio.to_thread(lambda: kernel.provisioner.container.stats().last_activity)
    if active is not None:
        kernel.last_activity = datetime.fromtimestamp(active, UTC)
    KERNEL_CURRENTLY_RUNNING_TOTAL.labels(type=kernel.kernel_name).inc()
    if not manager._initialized_culler:
        manager.initialize_culler()
    for session in record.sessions:
        await serverapp.session_manager.save_session(
            session.id, path=session.path, name=session.name, type=session.type, kernel_id=kernel_id
        )


def _write(paths: Paths, changed: dict[str, LastingKernel]) -> None:
    for key, record in changed.items():
        write_lasting(paths, key, record)


def _environment(record: LastingKernel) -> dict[str, str]:
    return {**os.environ, **record.env}


async def note_sessions(serverapp: ServerApp, service: Service) -> None:
    """Write down again and again which notebooks the kernels belong to: a ``kill -9`` leaves no time for it."""
    known: dict[str, LastingKernel] = {}
    while True:
        try:
            await write_sessions(serverapp, service, known)
        except ContainersError as error:
            serverapp.log.warning("the sessions of kernels can't be written down: %s", error)
        await asyncio.sleep(_NOTED)


async def write_sessions(serverapp: ServerApp, service: Service, known: dict[str, LastingKernel]) -> None:
    """Once. *known*: what is written, by container."""
    manager = serverapp.kernel_manager
    sessions: dict[str, list[NotebookSession]] = {}
    for model in await serverapp.session_manager.list_sessions():
        session = NotebookSession(id=model["id"], path=model["path"], name=model["name"], type=model["type"])
        sessions.setdefault(model["kernel"]["id"], []).append(session)
    changed: dict[str, LastingKernel] = {}
    for kernel_id in manager.list_kernel_ids():
        provisioner = manager.get_kernel(kernel_id).provisioner
        record: LastingKernel | None = getattr(provisioner, "lasting", None)
        container = getattr(provisioner, "container", None)
        if record is None or container is None:
            continue
        new = msgspec.structs.replace(
            record, root=str(Path(serverapp.root_dir)), sessions=tuple(sessions.get(kernel_id, ()))
        )
        if known.get(container.id) != new:
            changed[container.id] = new
    if changed:
        paths = service.environments.paths
        await service.call(lambda: _write(paths, changed))
        known.update(changed)
