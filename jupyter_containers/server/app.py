"""The server extension: settings, the life of what it owns, and the launcher's kernels.

This module is imported by every start of a server; all that is not needed for that is imported late.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_server.extension.application import ExtensionApp
from traitlets import Bool, Float, Integer, Unicode, validate

if TYPE_CHECKING:
    from jupyter_events import EventLogger
    from jupyter_server.serverapp import ServerApp

    from ..environments import Environments
    from ..kernels.deaths import Death
    from ..views import BuildView, JobView
    from .service import Service
    from .watch import Watch

__all__ = ["ContainersExtension"]


class ContainersExtension(ExtensionApp):
    """Environments, builds and containers under ``<base url>/jupyter-containers/api``."""

    name = "jupyter_containers"
    extension_url = "/jupyter-containers"
    load_other_extensions = True

    max_builds = Integer(2, min=1, config=True, help="Builds at work at once; more wait their turn.")
    install_kernelspecs = Bool(
        True, config=True, help="Install a kernelspec after each build, for programs that know nothing of this server."
    )
    dynamic_kernels = Bool(
        True, config=True, help="Show all environments as kernels in the launcher, with no kernelspec installed."
    )
    watch_interval = Float(
        5.0, min=0.5, config=True, help="Seconds between two looks at the containers, for events and metrics."
    )
    metrics_of_each = Bool(True, config=True, help="Metrics of each container, beside those of all together.")
    resource_usage = Bool(
        True, config=True,
        help="Answer what the front end of jupyter-resource-usage asks for, where its own server extension does not.",
    )  # fmt: skip
    max_memory = Unicode(
        "", config=True, help="Memory that a kernel gets at most, such as 4G, whatever its spec or its user asks for."
    )
    max_cpus = Float(None, allow_none=True, config=True, help="CPUs that a kernel gets at most.")
    max_pids = Integer(None, allow_none=True, config=True, help="Processes and threads that a kernel gets at most.")
    max_gpus = Integer(None, allow_none=True, config=True, help="GPUs that a kernel gets at most.")
    max_files = Integer(None, allow_none=True, config=True, help="Open files that a process of a kernel gets at most.")
    max_time = Unicode("", config=True, help="How long a kernel may run at most, such as 12h; then it is ended.")
    allow_network = Bool(True, config=True, help="Whether kernels may have a network at all.")
    store_limit = Unicode(
        "", config=True, help="What the image store may hold, such as 20G: over it the least recently used is removed."
    )
    keep_kernels_for = Unicode(
        "", config=True,
        help="How long kernels go on when this server ends, such as 10m, for the next one of the same root folder to "
        "take them over; empty: they end with it.",
    )  # fmt: skip
    warm_most = Integer(
        8, min=1, config=True, help="Processes kept ready for warm starts: fork servers, and kernels of the pool."
    )
    warm_memory = Unicode(
        "", config=True, help="Memory that they may hold together, such as 4G; empty: a quarter of the host's."
    )
    warm_idle = Unicode("15m", config=True, help="How long one is kept that nobody asks for.")
    reap_at_start = Bool(True, config=True, help="Remove at start what crashed owners have left of their containers.")

    service: Service
    watch: Watch
    _reap: asyncio.Task[None] | None = None
    _upkeep: asyncio.Task[None] | None = None
    _noting: asyncio.Task[None] | None = None

    def _link_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        # The server links its extensions before it makes its kernel spec manager (ServerApp.initialize:
        # init_server_extensions, then init_configurables), and reads the class from its configuration then.
        super()._link_jupyter_server_extension(serverapp)
        if self.dynamic_kernels:
            from .launcher import add_environments

            add_environments(serverapp, lasting=bool(self.keep_kernels_for))

    @validate("max_memory", "store_limit", "max_time", "keep_kernels_for", "warm_memory", "warm_idle")
    def _check_text(self, proposal: Any) -> str:
        from traitlets import TraitError

        from ..spec.durations import parse_duration
        from ..spec.sizes import parse_size

        name, text = proposal["trait"].name, str(proposal["value"])
        parse = parse_duration if name in {"max_time", "keep_kernels_for", "warm_idle"} else parse_size
        try:
            if text:
                parse(text)
        except ValueError as error:
            raise TraitError(f"{name}: {error}") from error
        return text

    def initialize_settings(self) -> None:
        from .events import register_schemas
        from .naming import follow_notebooks
        from .service import Service
        from .watch import Watch

        register_schemas(self._event_logger)
        follow_notebooks(self._event_logger, Path(self.settings["server_root_dir"]).expanduser())
        self.service = Service(self._open_environments, install_kernelspecs=self.install_kernelspecs)
        self.watch = Watch(
            self.service, self._event_logger, interval=self.watch_interval, log=self.log, activity=self._find_activity,
            each_metric=self.metrics_of_each,
        )  # fmt: skip
        self.settings["jupyter_containers_service"] = self.service
        self.settings["jupyter_containers_watch"] = self.watch
        self._set_rules()

    def initialize_handlers(self) -> None:
        from .handlers import ROUTES

        self.handlers.extend((rf"/jupyter-containers/api{pattern}", handler) for pattern, handler in ROUTES)
        if self.resource_usage:
            from .handlers import resource_usage

            assert self.serverapp is not None
            theirs = self.serverapp.extension_manager.extensions.get(resource_usage.EXTENSION)
            if theirs is None or not theirs.enabled:
                self.handlers.extend(resource_usage.ROUTES)

    def _set_rules(self) -> None:
        """Of the kernels that this process starts."""
        from ..kernels.deaths import listen
        from ..kernels.limits import Ceiling, current_policy
        from ..runtime.ready import Bounds, current_shelf
        from ..spec.durations import parse_duration
        from ..spec.sizes import parse_size

        current_policy().ceiling = Ceiling(
            memory=parse_size(self.max_memory) if self.max_memory else None, cpus=self.max_cpus, pids=self.max_pids,
            gpus=self.max_gpus, network="full" if self.allow_network else "none", files=self.max_files,
            time=parse_duration(self.max_time) if self.max_time else None,
        )  # fmt: skip
        current_policy().outlive = parse_duration(self.keep_kernels_for) if self.keep_kernels_for else 0
        current_shelf().bounds = Bounds(
            most=self.warm_most, memory=parse_size(self.warm_memory) if self.warm_memory else 0,
            idle=float(parse_duration(self.warm_idle)) if self.warm_idle else Bounds().idle,
        )  # fmt: skip
        listen(self._report_death)

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        if self.keep_kernels_for:
            await self._adopt(serverapp)
        self._reap = asyncio.create_task(self._reap_leftovers()) if self.reap_at_start else None
        if self.store_limit:
            from ..spec.sizes import parse_size
            from .upkeep import keep_below

            self._upkeep = asyncio.create_task(keep_below(self.service, parse_size(self.store_limit), self.log))
        self.watch.start()

    async def _adopt(self, serverapp: ServerApp) -> None:
        from ..errors import ContainersError
        from .lasting import adopt_kernels, note_sessions

        try:
            adopted = await adopt_kernels(serverapp, self.service)
        except ContainersError as error:
            self.log.warning("kernels that an earlier server left can't be taken over: %s", error)
        else:
            if adopted:
                self.log.info("kernels of an earlier server go on here: %s", ", ".join(adopted))
        self._noting = asyncio.create_task(note_sessions(serverapp, self.service))

    async def stop_extension(self) -> None:
        """End the followers and the builds. Kernels end with the server's kernel manager, right after this."""
        from ..kernels.deaths import forget

        forget(self._report_death)
        if self._noting is not None:
            from .lasting import write_sessions

            assert self.serverapp is not None
            await write_sessions(self.serverapp, self.service, {})
        for task in (self._reap, self._upkeep, self._noting):
            if task is not None:
                task.cancel()
        if hasattr(self, "watch"):  # not when the start of the server failed before it
            try:
                await self.watch.close()
                await self.service.close()
            except Exception:
                # What is raised here ends jupyter_server's own clean-up: its kernels, and the server, would go on.
                self.log.exception("the builds could not be ended in order")

    def _find_activity(self) -> dict[str, float]:
        """When each kernel was last active, by its container's id."""
        assert self.serverapp is not None
        manager = self.serverapp.kernel_manager
        found = {}
        for kernel_id in manager.list_kernel_ids():
            kernel = manager.get_kernel(kernel_id)
            container = getattr(kernel.provisioner, "container", None)
            at = getattr(kernel, "last_activity", None)  # not before its start has been answered
            if container is not None and at is not None:
                found[container.id] = at.timestamp()
        return found

    def current_activity(self) -> bool | None:
        """A build at work keeps the server from shutting itself down for want of activity."""
        return True if hasattr(self, "service") and self.service.busy else None

    @property
    def _event_logger(self) -> EventLogger:
        assert self.serverapp is not None and self.serverapp.event_logger is not None
        return self.serverapp.event_logger

    def _open_environments(self) -> Environments:
        from ..environments import Environments

        assert self.serverapp is not None
        root = Path(self.serverapp.root_dir) if self.dynamic_kernels else None
        return Environments(root=root, max_builds=self.max_builds, on_build=self._report_build, on_job=self._report_job)

    def _report_build(self, view: BuildView) -> None:
        """Called from building threads."""
        from .events import report_build

        loop = self.service.loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(report_build, self._event_logger, view)
            loop.call_soon_threadsafe(self.watch.nudge)

    def _report_death(self, death: Death) -> None:
        """Called in the thread that saw it, which is the event loop's."""
        loop = asyncio.get_running_loop()
        loop.call_soon(self.watch.tell_death, death)

    def _report_job(self, view: JobView) -> None:
        """Called from any thread."""
        loop = self.service.loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self.watch.nudge)

    async def _reap_leftovers(self) -> None:
        from ..errors import ContainersError

        try:
            ended: tuple[str, ...] = await self.service.call_slow(lambda: self.service.environments.reap())
        except ContainersError as error:
            self.log.warning("containers that an earlier server left could not be removed: %s", error)
            return
        if ended:
            self.log.info("removed what was left of containers whose owner has crashed: %s", ", ".join(ended))
