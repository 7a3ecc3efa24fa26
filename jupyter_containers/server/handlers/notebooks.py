"""``notebooks``: environments that notebooks carry in their metadata."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from ...errors import InputError
from ..models import CarryEnvironment, CheckNotebook, NotebookMetadata, OpenNotebook
from .base import Handler, Refusal

__all__ = ["CarryHandler", "CheckHandler", "OpenHandler"]

_LONGEST = 16 << 20
"""Bytes of a request that has a whole lock in it."""


class CarryHandler(Handler):
    @web.authenticated
    @authorized
    async def post(self) -> None:
        """What a notebook has to carry of an environment that is ready; the client writes it into the notebook."""
        wanted = self.body(CarryEnvironment)
        carried = await self.call(
            lambda environments: environments.carrying.carry(wanted.environment, references=wanted.references),
            slow=True,
        )
        self.reply(NotebookMetadata(metadata=carried))


class CheckHandler(Handler):
    longest_body = _LONGEST

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Whether a carried environment is here, and else what opening it would do; nothing is done."""
        wanted = self.body(CheckNotebook)
        self.reply(await self.call(lambda environments: environments.carrying.check(wanted.metadata)))


class OpenHandler(Handler):
    longest_body = _LONGEST

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Pull or build a carried environment, once its user agrees; answers at once, with the job."""
        wanted = self.body(OpenNotebook)
        if not wanted.trust:
            error = InputError(
                "nothing of a notebook's environment is fetched or run before its user agrees",
                hint="show what `notebooks/check` tells, then say `trust`",
            )
            raise Refusal(error)
        self.accept(await self.call(lambda environments: environments.carrying.start_open(wanted.metadata)))
