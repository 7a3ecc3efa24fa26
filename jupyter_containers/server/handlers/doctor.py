"""``doctor``: what this host can do."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from ...errors import ContainersError
from .base import Handler, Refusal

__all__ = ["DoctorHandler"]


class DoctorHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        """The findings of at most half a minute ago; with ``archives=true`` the package archives are tried too."""
        try:
            self.reply(await self.service.diagnose(archives=self.flag("archives")))
        except ContainersError as error:
            raise Refusal(error) from error
