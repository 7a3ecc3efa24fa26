"""Images by name, pinned: of the store where it has one of that name, else of a registry."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import HashMismatchError, NotFoundError, ReferenceError
from ..image.model import Image
from ..image.progress import Progress, quiet
from ..image.registry_settings import remote_reference
from ..image.short_names import find_image
from ..image.store import Store
from .model import PinnedImage

__all__ = ["find_or_pull", "find_pinned", "pin_image", "pull_image"]


def pull_image(
    store: Store,
    name: str,
    *,
    platform: str = "",
    progress: Progress = quiet,
    notify: Callable[[str], None] = lambda _: None,
) -> Image:
    """The image *name* of its registry, with the user's settings and logins; errors are those of
    :func:`..image.pull.pull`. *platform*: ``linux/arm64``; default: the host's."""
    from ..image.credentials import Credentials
    from ..image.pull import pull
    from .registries import registry_settings

    return pull(
        store, name, settings=registry_settings(), credential=Credentials.current().find,
        architecture=platform.removeprefix("linux/"), progress=progress, notify=notify,
    ).image  # fmt: skip


def find_or_pull(
    store: Store,
    name: str,
    *,
    fresh: bool = False,
    progress: Progress = quiet,
    notify: Callable[[str], None] = lambda _: None,
) -> Image:
    """The image *name*: of the store, else of its registry; *fresh*: of its registry where it was once pulled."""
    try:
        image = find_image(store, name)
    except NotFoundError:
        return pull_image(store, name, progress=progress, notify=notify)
    if fresh and _remote_name(image, name):
        return pull_image(store, name, progress=progress, notify=notify)
    return image


def pin_image(image: Image, name: str, *, platform: str = "") -> PinnedImage:
    """What a lock has of *image*, which *name* stood for."""
    reference = ""
    if image.manifest_digest and _remote_name(image, name):
        reference = f"{remote_reference(name).name}@{image.manifest_digest}"
    return PinnedImage(name=name, digest=image.digest, reference=reference, platform=platform)


def find_pinned(
    store: Store,
    pinned: PinnedImage,
    *,
    progress: Progress = quiet,
    notify: Callable[[str], None] = lambda _: None,
) -> Image:
    """The very image that was locked.

    :class:`NotFoundError` where neither the store nor a registry that is known has it, :class:`HashMismatchError`
    where the registry has another.
    """
    try:
        return store.image(pinned.digest)
    except NotFoundError as error:
        if not pinned.reference:
            raise NotFoundError(
                f"the image {pinned.name} that was locked ({pinned.digest[:19]}) is not in the store, and no registry "
                "is known to have it",
                hint=f"load it (`jupyter containers load`), or `jupyter containers lock --upgrade` takes {pinned.name} "
                "as it is now",
            ) from error
    image = pull_image(store, pinned.reference, platform=pinned.platform, progress=progress, notify=notify)
    if image.digest != pinned.digest:
        raise HashMismatchError(
            f"{pinned.reference} has the configuration {image.digest}, and the lock {pinned.digest}",
            hint="run `jupyter containers lock --upgrade` to take the image as it is now",
        )
    return image


def _remote_name(image: Image, name: str) -> str:
    """The name in full under which a registry has *image*; empty where it is not known to have come from one."""
    try:
        whole = str(remote_reference(name))
    except ReferenceError:
        return ""
    return whole if whole in image.references else ""
