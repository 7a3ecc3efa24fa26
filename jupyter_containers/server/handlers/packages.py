"""``packages``: what the Python index has; and packages of environments."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from ..models import AddPackages
from .base import Handler

__all__ = ["AddHandler", "NamesHandler", "PackageHandler", "PackagesHandler", "RemoveHandler"]


class PackagesHandler(Handler):
    _track_activity = False  # typed letter by letter

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Packages whose name is, begins with or holds ``query``."""
        text = self.get_query_argument("query", "")
        self.reply(await self.call(lambda environments: environments.packages.search(text), slow=True))


class PackageHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self, name: str) -> None:
        self.reply(await self.call(lambda environments: environments.packages.find(name), slow=True))


class NamesHandler(Handler):
    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Fetch the list of all names, which has tens of megabytes, so that a search finds any part of a name."""
        self.accept(await self.call(lambda environments: environments.packages.start_names()))


class AddHandler(Handler):
    @web.authenticated
    @authorized
    async def post(self, name: str) -> None:
        """Add packages to an environment, and to a running container of it; answers at once, with the job."""
        wanted = self.body(AddPackages)
        view = await self.call(
            lambda environments: environments.packages.start_add(
                name, wanted.packages, container=wanted.container or ""
            )
        )
        self.accept(view)


class RemoveHandler(Handler):
    @web.authenticated
    @authorized
    async def delete(self, name: str, package: str) -> None:
        """Take a package out of an environment; answers at once, with the job."""
        self.accept(await self.call(lambda environments: environments.packages.start_remove(name, [package])))
