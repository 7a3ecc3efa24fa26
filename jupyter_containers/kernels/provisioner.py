"""The kernel provisioner: jupyter_client's kernels as containers.

A kernelspec names it in ``metadata.kernel_provisioner`` with a ``config`` of :class:`.options.KernelOptions`
(https://jupyter-client.readthedocs.io/en/stable/provisioning.html). Every client that starts kernels through
jupyter_client then gets containers: JupyterLab, ``jupyter console``, nbclient, papermill, nbconvert, nbgrader.

The order of a start::

    pre_launch      find the image, or build it and wait · connection folder and file · the container's config
    launch_kernel   create, start, wait until the kernel has bound its sockets or its container has ended

Waiting for the sockets costs a client nothing (it waits for the kernel anyway, and from there on the two work side by
side), and it makes a container that dies an error of ``start_kernel`` with the last output in it, where clients would
only find "Kernel died" later.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_client.connect import KernelConnectionInfo
from msgspec.structs import replace

from ..build.monitor import Event
from ..errors import ContainerError, ContainersError, NotFoundError
from ..runtime.base import Container, ContainerConfig
from .connection import ConnectionFolder
from .deaths import describe_death, last_state, tell
from .ending import not_started, startup_error
from .folders import Guarded
from .host import Host, current_host
from .lasting import LastingKernel, plain_connection, read_lasting, write_lasting
from .launch import Target, has_magic, kernel_config, pick_environment
from .limits import StartLimits, current_policy, decide, read_chosen
from .naming import forget_kernel, name_of
from .options import KernelOptions
from .saving import find_saved, save_kernel
from .target import build_target, find_target
from .traits import KernelTraits
from .worker import run_in_thread, starter, worker

if TYPE_CHECKING:
    from .pool import MakeConfig

__all__ = ["ContainerProvisioner"]

BIND_INTERVAL = 0.01
"""Seconds between two looks at the sockets of a starting kernel. From there to its first reply it is ten times as long,
so nothing waits for this; each look costs 0.1 ms of a processor that the kernel wants."""

BIND_TIMEOUT = 120.0
"""Seconds after which a kernel that runs but binds nothing is left to its client's own time-out."""


class ContainerProvisioner(KernelTraits):
    """Runs each kernel in a container of its own."""

    _host: Host | None = None
    _container: Container | None = None
    _ready: Container | None = None
    """Taken out of the pool, and not launched yet."""
    _kept: Container | None = None
    """Ended, and waiting to be started again on its writable layer."""
    _connection: ConnectionFolder | None = None
    _target: Target | None = None
    _config: ContainerConfig | None = None
    _folder: Path | None = None
    """The notebook's, where the kernel sees it."""
    _cwd: Path | None = None
    _notebook = ""
    lasting: LastingKernel | None = None
    """What the next server is told of the kernel, where it outlives this one."""
    _told = False
    _bound = False
    """The kernel has run, so what it has written is worth something."""
    _cancel: threading.Event | None = None

    @property
    def container(self) -> Container | None:
        """The kernel's container, from its start to its removal."""
        return self._container

    @property
    def has_process(self) -> bool:
        return self._container is not None

    # Start

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        kwargs.pop("transport_encryption", None)  # sockets in a folder that this user alone can enter need none
        extra = kwargs.pop("extra_arguments", None) or []
        folder = Path(kwargs.pop("cwd", None) or os.curdir).expanduser().absolute()
        kwargs = await super().pre_launch(**kwargs)
        host_env = kwargs.pop("env")
        options = self.options
        self._host = host = current_host()
        self._target = await self._find_or_build(host, options)
        if self._target.note:
            self.log.info("%s: %s", options.what, self._target.note)
        notebook = name_of(self.kernel_id or "", host_env.get("JPY_SESSION_NAME", ""))
        self._cwd, self._notebook = folder, notebook
        if notebook:
            host_env = host_env | {"JPY_SESSION_NAME": notebook}
        if options.restore:
            self._target = await worker().run(lambda: _restored(host, self._target, notebook, self.log))
        restarted = self._connection is not None
        self._connection = connection = self._connection or ConnectionFolder.choose(host.paths)
        env = pick_environment(host_env, self.kernel_spec.env, options.pass_env)
        limits = await self._find_limits(self._target, options, Path(notebook))
        make = partial(
            _make_config, self._target, options, Guarded.current(host.paths), folder=folder, extra=extra, limits=limits,
            outlive=current_policy().outlive,
        )  # fmt: skip
        self._config = make(connection, env, kernel_id=self.kernel_id or "")
        self._folder = folder if options.mount_folder != "none" else None
        if options.warm != "off":
            connection = self._connection = await self._warm_up(connection, env, make, restarted=restarted)
        await self._drop_unfit()
        try:
            if self._ready is None:
                connection.make()
                _write_magic(self._target, connection)
            self.connection_info = self._write_connection(connection, notebook)
        except BaseException:
            connection.remove()
            raise
        return kwargs | {"cmd": list(self._config.argv)}

    async def _warm_up(
        self, connection: ConnectionFolder, env: Mapping[str, str], make: MakeConfig, *, restarted: bool
    ) -> ConnectionFolder:
        """Take a kernel out of the pool, where one waits or it can't be a fork; the folder of what is to be started."""
        from .pool import Order, current_pool  # late, the two: most starts are fresh
        from .warmth import choose_start

        host, target, options, config, manager = self._host, self._target, self.options, self._config, self.parent
        assert host is not None and target is not None and config is not None and manager is not None
        choice = choose_start(
            target, options, config, refused=host.runtime.refuses_fork(config), restored=target.is_saved
        )
        reason = choice.reason
        if choice.waits and restarted:
            reason = f"{reason}, and one that is restarted keeps its connection, which one of the pool has not"
        elif choice.waits:
            session = manager.session
            order = Order(
                host=host, language=target.kernel.language, env=env, make=make, number=options.pool,
                config=config if choice.kind == "fork" else replace(config, warm=None),
                scheme=session.signature_scheme, prepare=partial(_write_magic, target),
                kernel_name=manager.kernel_name, reason=choice.reason,
            )  # fmt: skip
            pool, wait = current_pool(), options.warm == "wait" and choice.kind == "pool"
            taken = await run_in_thread(lambda: pool.take(order, wait=wait), name="kernel-pool-start")
            if taken.ready is not None:
                session.key = taken.ready.key
                self._ready, self._config = taken.ready.container, taken.ready.container.config
                return taken.ready.connection
            reason = f"{reason}, and of the pool: {taken.reason}"
        if choice.kind != "fork":
            self._config = replace(config, warm=None, why_fresh=reason)
        return connection

    async def _find_limits(self, target: Target, options: KernelOptions, notebook: Path) -> StartLimits:
        """Of the spec, of what was chosen for the *notebook*, and of what is allowed."""
        policy = current_policy()
        named = notebook.is_absolute()
        agreed = policy.agreed(notebook) if named else None
        chosen = await run_in_thread(lambda: read_chosen(notebook), name="notebook") if named else None
        return decide(target.spec, options, chosen=chosen, agreed=agreed, ceiling=policy.ceiling)

    async def post_launch(self, **kwargs: Any) -> None:
        """Write down what the next server needs to go on with the kernel, where it may outlive this one."""
        await super().post_launch(**kwargs)
        container = self._container
        if container is None or not container.config.outlive:
            return
        assert self._host is not None
        manager: Any = self.parent
        connection = plain_connection(manager.get_connection_info())
        info = {**await self.get_provisioner_info(), "connection_info": connection}
        self.lasting = LastingKernel(
            kernel_id=self.kernel_id or "", kernel_name=manager.kernel_name, connection=connection, provisioner=info,
            cwd=str(self._cwd), env={"JPY_SESSION_NAME": self._notebook} if self._notebook else {},
        )  # fmt: skip
        write_lasting(self._host.paths, container.id, self.lasting)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the container; :class:`.KernelError` with its last output where it ends before the kernel has bound."""
        assert self._host is not None and self._config is not None and self._connection is not None
        self._told = self._bound = False
        try:
            self._container, self._ready = self._ready, None
            self._container = self._container or await self._start(self._host, self._config)
            await self._wait_bound(self._container, self._connection)
            self._bound = True
        except BaseException:
            await self.cleanup()
            raise
        return self.connection_info

    async def _find_or_build(self, host: Host, options: KernelOptions) -> Target:
        target = find_target(options, host.paths, host.store)
        if target is not None:
            return target
        self.log.info("%s is not built, or its spec has changed: building it before its kernel starts", options.what)
        self._cancel = cancel = threading.Event()
        try:
            return await run_in_thread(
                lambda: build_target(options, host, monitor=self._log_build, cancel=cancel), name="kernel-build"
            )
        except asyncio.CancelledError:
            cancel.set()
            raise
        finally:
            self._cancel = None

    def cancel_start(self) -> None:
        """Stop the build that a start is waiting for; the start then raises :class:`..errors.CancelledError`.

        Does nothing where no start waits. For the event loop's thread.
        """
        if self._cancel is not None:
            self._cancel.set()

    def _log_build(self, event: Event) -> None:
        if event.kind == "phase" or (event.kind == "step" and event.phase != "done" and not event.cached):
            self.log.info("building %s: %s %s", self.options.what, event.phase or "", event.step or event.text)

    def _write_connection(self, connection: ConnectionFolder, session_name: str) -> KernelConnectionInfo:
        """Make the kernel manager speak through the connection folder, and write the kernel's connection file there.

        The manager's own file, where other clients (``jupyter console --existing``) look for it, is the manager's.
        """
        manager: Any = self.parent  # a jupyter_client.KernelManager
        manager.transport = "ipc"
        manager.ip = connection.address
        for name, number in connection.ports.items():
            setattr(manager, name, number)
        manager.write_connection_file(jupyter_session=session_name)
        info: KernelConnectionInfo = manager.get_connection_info()
        connection.write({**info, "kernel_name": manager.kernel_name, "jupyter_session": session_name})
        return info

    async def _drop_unfit(self) -> None:
        """Remove the kept container where what it was made of is not what is wanted now; its folder goes with it."""
        kept = self._kept
        if kept is not None and kept.config != _as_created(self._config, kept):
            self._kept = None
            self.log.warning("container %s is not kept: its image or its settings have changed", kept.config.name)
            await worker().run(lambda: kept.remove(force=True))

    async def _start(self, host: Host, config: ContainerConfig) -> Container:
        kept, self._kept = self._kept, None

        def start() -> Container:
            container = kept or host.runtime.create(config)
            try:
                container.start()
            except BaseException:
                container.remove(force=True)
                raise
            return container

        future = starter().submit(start)
        try:
            return await asyncio.wrap_future(future)
        except ContainerError as error:
            raise not_started(config.image_name, error) from error
        except asyncio.CancelledError:
            future.add_done_callback(_remove_started)  # it may be under way
            raise

    async def _wait_bound(self, container: Container, connection: ConnectionFolder) -> None:
        assert self._target is not None
        patience = time.monotonic() + BIND_TIMEOUT
        while not connection.bound():
            if container.poll() is not None:
                raise startup_error(self._target.name, container)
            if time.monotonic() > patience:
                self.log.warning("the kernel of %s runs, but has not bound its sockets", self._target.name)
                return
            await asyncio.sleep(BIND_INTERVAL)

    # Life

    async def poll(self) -> int | None:
        container = self._container
        if container is None:
            return 0
        try:
            code = container.poll()
        except NotFoundError:  # one that outlives its server, and that somebody has removed
            return 128 + signal.SIGKILL
        if code is not None and not self._told:
            self._told = True
            if not getattr(self.parent, "shutting_down", False):
                death = describe_death(last_state(container))
                self.log.warning("container %s: %s", death.name, death.message)
                tell(death)
        return code

    async def wait(self) -> int | None:
        code: int | None = 0
        while self._container is not None and (code := await self.poll()) is None:
            await asyncio.sleep(0.01)
        return code

    async def send_signal(self, signum: int) -> None:
        """Send *signum* to the kernel and what it has started, as a terminal would."""
        container = self._running()
        if container is not None and signum:
            with suppress(ContainerError, NotFoundError):  # it has just ended, which the next poll tells
                container.signal(int(signum))

    async def shutdown_requested(self, restart: bool = False) -> None:
        """The kernel has been asked to end: one that is paused goes on first, to hear it."""
        container = self._running()
        if container is not None:
            with suppress(NotFoundError):
                container.resume()

    async def kill(self, restart: bool = False) -> None:
        container = self._running()
        if container is not None:
            with suppress(NotFoundError):
                await worker().run(container.kill)

    def _running(self) -> Container | None:
        try:
            return self._container if self._container is not None and self._container.poll() is None else None
        except NotFoundError:  # one that outlives its server, and that somebody has removed
            return None

    async def terminate(self, restart: bool = False) -> None:
        await self.send_signal(signal.SIGTERM)

    async def cleanup(self, restart: bool = False) -> None:
        """Remove the container, unless a restart wants its writable layer, and with it the connection folder."""
        container, self._container = self._container, None
        if restart and self.restart == "keep" and container is not None:
            self._kept = container
            return
        if not restart:
            forget_kernel(self.kernel_id or "")
        if self.autosave and not restart and container is not None and self._bound:
            await self._save(container)
        ended = [item for item in (container, self._kept, self._ready) if item is not None]
        self._kept = self._ready = None
        await worker().run(lambda: _remove_all(ended))
        if self._connection is not None:
            self._connection.remove()

    async def _save(self, container: Container) -> None:
        """Before it is removed. What can't be saved is told, and lost: nobody could start it again."""
        assert self._host is not None
        store = self._host.store
        try:
            name = await worker().run(lambda: save_kernel(store, container))
        except ContainersError as error:
            self.log.warning("what kernel %s has written is not saved: %s", container.config.name, error)
            return
        if name:
            self.log.info("what kernel %s has written is saved as %s", container.config.name, name)

    def resolve_path(self, path: str) -> str | None:
        """The host's path of *path*, where the kernel sees it; None outside of the notebook's folder."""
        if self._folder is None:
            return None
        found = Path(os.path.normpath(self._folder / path))
        return str(found) if found.is_relative_to(self._folder) and found.exists() else None

    async def get_provisioner_info(self) -> dict[str, Any]:
        info: dict[str, Any] = await super().get_provisioner_info()
        info["container"] = self._container.id if self._container else ""
        info["folder"] = str(self._folder or "")
        info["connection_folder"] = str(self._connection.path) if self._connection else ""
        return info

    async def load_provisioner_info(self, provisioner_info: dict[str, Any]) -> None:
        await super().load_provisioner_info(provisioner_info)
        self._host = current_host()
        seen = provisioner_info.get("folder")
        self._folder = Path(seen) if seen else None
        self._bound = True
        folder = provisioner_info.get("connection_folder")
        self._connection = ConnectionFolder(Path(folder)) if folder else None
        try:
            self._container = self._host.runtime.find(provisioner_info.get("container") or "none")
        except NotFoundError:
            self._container = None
            return
        self.lasting = read_lasting(self._host.paths, self._container.id)


def _restored(host: Host, target: Target | None, notebook: str, log: Any) -> Target:
    assert target is not None
    saved = find_saved(host.store, target.name, notebook, target.image)
    if saved.note:
        (log.info if saved.image else log.warning)("%s: %s", target.name, saved.note)
    if saved.image is None:
        return target
    return replace(target, image=saved.image, note=saved.note, is_saved=True)


def _make_config(
    target: Target, options: KernelOptions, guarded: Guarded, connection: ConnectionFolder, env: Mapping[str, str],
    **settings: Any,
) -> ContainerConfig:  # fmt: skip
    return kernel_config(target, options, connection, guarded, env=env, **settings)


def _write_magic(target: Target, connection: ConnectionFolder) -> None:
    if has_magic(target):
        connection.write_magic(target.name)


def _remove_started(future: Future[Container]) -> None:
    if not future.cancelled() and future.exception() is None:
        future.result().remove(force=True)


def _remove_all(containers: list[Container]) -> None:
    for container in containers:
        container.remove(force=True)


def _as_created(config: ContainerConfig | None, container: Container) -> ContainerConfig:
    """*config* with what the runtime has filled in for *container*."""
    assert config is not None
    return replace(config, name=container.config.name, hostname=container.config.hostname)
