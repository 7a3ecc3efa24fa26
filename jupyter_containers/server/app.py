"""The server extension: settings, the life of what it owns, and the launcher's kernels.

This module is imported by every start of a server; all that is not needed for that is imported late.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_server.extension.application import ExtensionApp
from traitlets import Bool, Float, Integer

if TYPE_CHECKING:
    from jupyter_events import EventLogger
    from jupyter_server.serverapp import ServerApp

    from ..environments import Environments
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
    reap_at_start = Bool(True, config=True, help="Remove at start what crashed owners have left of their containers.")

    service: Service
    watch: Watch
    _reap: asyncio.Task[None] | None = None

    def _link_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        # The server links its extensions before it makes its kernel spec manager (ServerApp.initialize:
        # init_server_extensions, then init_configurables), and reads the class from its configuration then.
        super()._link_jupyter_server_extension(serverapp)
        if self.dynamic_kernels:
            from .launcher import add_environments

            add_environments(serverapp)

    def initialize_settings(self) -> None:
        from .events import register_schemas
        from .service import Service
        from .watch import Watch

        register_schemas(self._event_logger)
        self.service = Service(self._open_environments, install_kernelspecs=self.install_kernelspecs)
        self.watch = Watch(self.service, self._event_logger, interval=self.watch_interval, log=self.log)
        self.settings["jupyter_containers_service"] = self.service
        self.settings["jupyter_containers_watch"] = self.watch

    def initialize_handlers(self) -> None:
        from .handlers import ROUTES

        self.handlers.extend((rf"/jupyter-containers/api{pattern}", handler) for pattern, handler in ROUTES)

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        self._reap = asyncio.create_task(self._reap_leftovers()) if self.reap_at_start else None
        self.watch.start()

    async def stop_extension(self) -> None:
        """End the followers and the builds. Kernels end with the server's kernel manager, right after this."""
        if self._reap is not None:
            self._reap.cancel()
        if hasattr(self, "watch"):  # not when the start of the server failed before it
            try:
                await self.watch.close()
                await self.service.close()
            except Exception:
                # What is raised here ends jupyter_server's own clean-up: its kernels, and the server, would go on.
                self.log.exception("the builds could not be ended in order")

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
