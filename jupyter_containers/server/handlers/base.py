"""What every handler has: authentication by the server, strict bodies, errors as JSON, no blocking call."""

from __future__ import annotations

from collections.abc import Callable
from http.client import responses
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import msgspec
from jupyter_server.base.handlers import APIHandler
from tornado import web

from ... import errors
from ...misfits import find_misfit
from ..models import ErrorReply

if TYPE_CHECKING:
    from ...environments import Environments
    from ...views import JobView
    from ..service import Service
    from ..watch import Watch

__all__ = ["STATUS", "Handler", "status_of"]

P = ParamSpec("P")
T = TypeVar("T")

MAX_BODY = 1 << 20
"""Bytes of a request's body: the largest is the text of a spec."""

STATUS: dict[type[errors.ContainersError], int] = {
    errors.InputError: 400,
    errors.NotFoundError: 404,
    errors.ConflictError: 409,
    errors.ResolutionError: 422,
    errors.UntrustedContentError: 422,
    errors.ContainersError: 500,
    errors.LimitError: 501,
    errors.ArchiveError: 502,
    errors.HostError: 503,
    errors.OutOfSpaceError: 507,
}
"""HTTP status by kind of error; a kind that is not here has its parent's."""


def status_of(error: errors.ContainersError) -> int:
    """The HTTP status that tells of *error*."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


class Refusal(web.HTTPError):
    """An error of this package on its way to the client."""

    def __init__(self, error: errors.ContainersError) -> None:
        super().__init__(status_of(error), error.message)
        self.error = error


class Handler(APIHandler):
    """Base of all handlers. Each method of a subclass is ``@web.authenticated`` and ``@authorized``."""

    auth_resource = "containers"
    longest_body = MAX_BODY
    """Bytes."""

    @property
    def service(self) -> Service:
        return cast("Service", self.settings["jupyter_containers_service"])

    @property
    def watch(self) -> Watch:
        return cast("Watch", self.settings["jupyter_containers_watch"])

    def on_finish(self) -> None:
        if self.request.method not in {"GET", "HEAD", "OPTIONS"} and self.get_status() < 400:
            self.watch.nudge()  # whoever follows sees at once what a click has done
        super().on_finish()

    async def call(self, function: Callable[[Environments], T], *, slow: bool = False) -> T:
        """Await *function* on the environments in a thread; its errors become the reply."""
        service = self.service
        call = service.call_slow if slow else service.call
        try:
            return await call(lambda: function(service.environments))
        except errors.ContainersError as error:
            raise Refusal(error) from error

    def body(self, type: type[T]) -> T:
        """The request's body, decoded strictly; an empty one is ``{}``."""
        data = self.request.body
        if len(data) > self.longest_body:
            raise web.HTTPError(413, f"the request's body has {len(data)} bytes, {self.longest_body} are allowed")
        try:
            return msgspec.json.decode(data or b"{}", type=type)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            cause, key = find_misfit(error)
            problem = errors.Problem(file="", key=key, cause=cause)
            hint = "`GET openapi.yaml` of this interface tells what it holds"
            raise Refusal(
                errors.InputError("the request's body is not valid", problems=[problem], hint=hint)
            ) from error

    def flag(self, name: str) -> bool:
        """A query argument that is ``true`` or ``false``; false where it is not given."""
        value = self.get_query_argument(name, "false")
        if value not in {"true", "false"}:
            problem = errors.Problem(file="", key=name, cause=f"expected true or false, got {value!r}")
            raise Refusal(errors.InputError("the query is not valid", problems=[problem]))
        return value == "true"

    def path(self, text: str) -> Path:
        """A path of the client's on this host: relative ones start at the server's root folder."""
        if "\0" in text:
            raise Refusal(errors.InputError(f"{text[:40]!r} is not the name of a file or folder"))
        return Path(self.settings["server_root_dir"]).expanduser() / text

    def accept(self, job: JobView) -> None:
        """Finish with a job that was started."""
        self.reply(job, 202, location=f"jobs/{job.id}")

    def reply(self, value: object, status: int = 200, *, location: str = "") -> None:
        """Finish with *value* as JSON."""
        self.set_status(status)
        self.set_header("Cache-Control", "no-store")
        if location:
            self.set_header("Location", f"{self.base_url}jupyter-containers/api/{location}")
        self.finish(msgspec.json.encode(value))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Errors of all kinds as an :class:`ErrorReply`."""
        error = kwargs.get("exc_info", (None, None))[1]
        phrase = responses.get(status_code, "Unknown Error")
        if isinstance(error, Refusal):
            reply = ErrorReply.of(error.error)
        elif isinstance(error, web.HTTPError):
            reply = ErrorReply(message=error.log_message or phrase, reason=error.reason or phrase)
        else:  # a bug: its text may tell of things that are not the client's business
            reply = ErrorReply(message="internal error", reason=phrase, hint="the server's log has the traceback")
        self.finish(msgspec.json.encode(reply))
