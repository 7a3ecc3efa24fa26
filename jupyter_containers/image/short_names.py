"""Images of a store by the names that people use: also docker's short forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import NotFoundError, ReferenceError
from .registry_settings import remote_reference

if TYPE_CHECKING:
    from .model import Image
    from .store import Store

__all__ = ["find_image"]


def find_image(store: Store, name: str) -> Image:
    """The store's image *name*, also by docker's short form: ``debian`` for ``docker.io/library/debian``.

    :class:`NotFoundError` where there is none, :class:`ReferenceError` for what can't be a name.
    """
    try:
        return store.image(name)
    except NotFoundError as error:
        try:
            return store.image(str(remote_reference(name)))
        except (NotFoundError, ReferenceError):
            raise error from None
