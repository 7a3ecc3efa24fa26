"""``containers``: those of this user, whoever started them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import msgspec
from jupyter_server.auth.decorator import authorized
from tornado import web
from tornado.iostream import StreamClosedError

from ...errors import ConflictError, ContainersError, HostError, InputError
from ...kernels.limits import Chosen, check_chosen, current_policy
from ...runtime.adjusting import check_maximum
from ...runtime.base import ContainerState, LogPage
from ..messages import STILL_HERE, message
from ..models import CommitContainer, Output, StopContainer, Terminal, UpdateContainer
from .base import Handler, Refusal
from .stream import HEARTBEAT, EventStream

if TYPE_CHECKING:
    from ...environments import Environments

__all__ = [
    "CommitHandler", "ContainerHandler", "ContainersHandler", "LogEventsHandler", "LogHandler", "PauseHandler",
    "ResumeHandler", "StatsHandler", "StopHandler", "TerminalHandler",
]  # fmt: skip

_SHELL = "command -v bash >/dev/null && exec bash; exec sh"
_NO_TERMINALS = "install `jupyter_server_terminals`, and leave `c.ServerApp.terminals_enabled` on"


class ContainersHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        """The running ones, or with ``all=true`` the ended ones too."""
        every = self.flag("all")
        self.reply(await self.call(lambda environments: environments.containers(all=every)))


class ContainerHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        self.reply(await self.call(lambda environments: environments.container(reference).state()))

    @web.authenticated
    @authorized
    async def patch(self, reference: str) -> None:
        """Change limits while it runs, within what the administrator allows; answers with its state."""
        wanted = self.body(UpdateContainer)

        def update(environments: Environments) -> ContainerState:
            chosen = check_chosen(Chosen(memory=wanted.memory, cpus=wanted.cpus, pids=wanted.pids))
            if not chosen.numbers:
                raise InputError("nothing to change", hint="name a limit: memory, cpus or pids")
            check_maximum(chosen.numbers, current_policy().ceiling.numbers)
            container = environments.container(reference)
            container.update(chosen.numbers)
            return container.state()

        self.reply(await self.call(update, slow=True))

    @web.authenticated
    @authorized
    async def delete(self, reference: str) -> None:
        """Remove it with its writable layer; a running one only with ``force=true``."""
        force = self.flag("force")
        await self.call(lambda environments: environments.container(reference).remove(force=force), slow=True)
        self.set_status(204)
        self.finish()


class LogHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        log = await self.call(lambda environments: environments.container(reference).logs())
        self.finish(log.encode(errors="replace"), set_content_type="text/plain; charset=utf-8")


class LogEventsHandler(EventStream):
    """A container's output as it comes: ``output`` events, and last an ``end`` with its state, null where it has gone.

    Each has its position as its id. A client that reconnects with ``Last-Event-ID`` goes on where it was.
    """

    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        position = self.request.headers.get("Last-Event-ID", "")
        container = await self.call(lambda environments: environments.container(reference))
        page: LogPage | None = await self.call(lambda _: container.read_log(position))
        logs = self.service.logs
        try:
            await self.begin()
            try:
                while page is None or not page.ended:
                    if page is not None and page.data:
                        position = page.position
                        text = Output(text=page.data.decode(errors="replace"))
                        self.write(message("output", msgspec.json.encode(text), position=position))
                    await self.flush()
                    page = await logs.next_page(container.id, position, timeout=HEARTBEAT, gone=self.gone)
                    if self.gone.is_set() or logs.closed.is_set():
                        return
                    if page is None:
                        self.write(STILL_HERE)
                state: ContainerState | None = await self.service.call(container.state)
            except ContainersError:
                state = None  # removed while it was followed
            self.write(message("end", msgspec.json.encode(state), position=position))
            self.end()
        except StreamClosedError:
            return


class StatsHandler(Handler):
    _track_activity = False  # a page that shows them asks every second

    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        self.reply(await self.call(lambda environments: environments.container(reference).stats()))


class StopHandler(Handler):
    @web.authenticated
    @authorized
    async def post(self, reference: str) -> None:
        """SIGTERM, after ``grace`` seconds SIGKILL; answers once it has ended, with its state."""
        grace = self.body(StopContainer).grace
        container = await self.call(lambda environments: environments.container(reference))
        await self.call(lambda _: container.stop(grace=grace), slow=True)
        self.reply(await self.call(lambda _: container.state()))


class PauseHandler(Handler):
    @web.authenticated
    @authorized
    async def post(self, reference: str) -> None:
        """Stop all its processes, until it is resumed; answers with its state."""
        container = await self.call(lambda environments: environments.container(reference))
        await self.call(lambda _: container.pause(), slow=True)
        self.reply(await self.call(lambda _: container.state()))


class ResumeHandler(Handler):
    @web.authenticated
    @authorized
    async def post(self, reference: str) -> None:
        """Have it go on; one that is not paused is left as it is."""
        container = await self.call(lambda environments: environments.container(reference))
        await self.call(lambda _: container.resume())
        self.reply(await self.call(lambda _: container.state()))


class CommitHandler(Handler):
    @web.authenticated
    @authorized
    async def post(self, reference: str) -> None:
        """Make an image of it with what it has changed; answers at once, with the job."""
        wanted = self.body(CommitContainer)
        view = await self.call(
            lambda environments: environments.transfers.start_commit(reference, wanted.name, message=wanted.message)
        )
        self.accept(view)


class TerminalHandler(Handler):
    @web.authenticated
    @authorized
    async def post(self, reference: str) -> None:
        """Open one of Jupyter Server's terminals with a shell in it; who may not open terminals may not here."""
        state = await self.call(lambda environments: environments.container(reference).state())
        if state.status != "running":
            what = "paused" if state.status == "paused" else "not running"
            raise Refusal(ConflictError(f"container {state.name} is {what}"))
        terminals = self.settings.get("terminal_manager")
        if not self.settings.get("terminals_available") or terminals is None:
            raise Refusal(HostError("this server has no terminals", hint=_NO_TERMINALS))
        allowed: Any = self.authorizer.is_authorized(self, self.current_user, "write", "terminals")
        if not (await allowed if hasattr(allowed, "__await__") else allowed):
            raise web.HTTPError(403)
        command = [sys.executable, "-m", "jupyter_containers", "exec", "-it", state.id, "/bin/sh", "-c", _SHELL]
        made = terminals.create(shell_command=command)
        self.reply(Terminal(name=made["name"]), 201)
