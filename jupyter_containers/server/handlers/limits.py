"""``limits``: what kernels may have here; and what was chosen for a notebook."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from ...errors import LimitError
from ...kernels.limits import Chosen, check_chosen, current_policy, decide
from ...kernels.options import KernelOptions
from ...spec.model import Resources
from ..models import ChooseLimits, HostSize, Limits
from .base import Handler

if TYPE_CHECKING:
    from ...environments import Environments

__all__ = ["ChoiceHandler", "LimitsHandler"]

_TRIED = {
    "memory": Resources(memory=1 << 30), "cpus": Resources(cpus=1.0), "pids": Resources(pids=1000),
    "gpus": Resources(gpus=1),
}  # fmt: skip
"""A value of each kind, to learn whether the host can hold a kernel to it."""


class LimitsHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        """What the administrator allows, what this host can enforce, and what kernels have by default."""
        unenforced = await self.call(_find_unenforced, slow=True)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        host = HostSize(memory=memory, cpus=len(os.sched_getaffinity(0)))
        defaults, name = self._defaults(), self.get_query_argument("environment", "")
        own = await self.call(lambda environments: _find_own(environments, name, defaults)) if name else None
        notebook = self.get_query_argument("notebook", "")
        path = self.path(notebook) if notebook else None
        agreed = await self.call(lambda _: current_policy().agreed(path)) if path is not None else None
        limits = Limits(
            maximum=current_policy().ceiling, unenforced=unenforced, defaults=defaults, host=host, environment=own,
            agreed=agreed,
        )  # fmt: skip
        self.reply(limits)

    def _defaults(self) -> Chosen:
        section: Any = (self.config or {}).get("ContainerProvisioner", {})
        names = ("memory", "cpus", "pids", "network", "files", "time")
        known = {name: section[name] for name in names if section.get(name)}
        return Chosen(**known)


class ChoiceHandler(Handler):
    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Let the next kernels of a notebook have other limits than its spec's: the user's word, in this server.

        What the administrator allows is not passed.
        """
        wanted = self.body(ChooseLimits)
        path = self.path(wanted.path)

        def agree(_: Environments) -> None:
            current_policy().agree(path, check_chosen(wanted.limits) if wanted.limits is not None else None)

        await self.call(agree)
        self.set_status(204)
        self.finish()


def _find_own(environments: Environments, name: str, defaults: Chosen) -> Chosen:
    """What kernels of the environment *name* have by themselves."""
    options = KernelOptions(
        memory=str(defaults.memory or ""), cpus=defaults.cpus, pids=defaults.pids, network=defaults.network or "",
        files=defaults.files, time=str(defaults.time or ""),
    )  # fmt: skip
    own = decide(environments.specs.find(name), options, ceiling=current_policy().ceiling)
    given = {key: getattr(own.resources, key) for key in ("memory", "cpus", "pids", "gpus", "files", "time")}
    return Chosen(**given, network=own.network)


def _find_unenforced(environments: Environments) -> dict[str, str]:
    found = {}
    for name, limits in _TRIED.items():
        try:
            environments.runtime.check_limits(limits)
        except LimitError as error:
            found[name] = error.message
    return found
