"""What keeps :mod:`.launch` from starting bwrap. Apart from :mod:`..errors`: these processes import next to nothing."""

from __future__ import annotations

__all__ = ["Failure"]


class Failure(Exception):
    """As :class:`~jupyter_containers.errors.HostError`, which it becomes where it is read."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
