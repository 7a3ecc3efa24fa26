"""The images of one user and the disk they take: what :class:`.Environments` hands on to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .paths import Paths
from .spec.catalog import list_records
from .views import ImageView, Resolved, StoreSize, image_views

if TYPE_CHECKING:
    from .image.gc import Collected
    from .image.model import Image
    from .image.push import Pushed
    from .image.store import Store
    from .runtime.base import ContainerState
    from .shipping import Shipping

__all__ = ["Storage"]


class Storage:
    """Images, and what they take.

    :param resolve: what a name or path of the user's stands for, as :meth:`.Environments.resolve`.
    :param containers: all containers, running or not.
    """

    def __init__(
        self,
        paths: Paths,
        store: Store,
        shipping: Shipping,
        *,
        resolve: Callable[[str], Resolved],
        containers: Callable[[], Sequence[ContainerState]],
    ) -> None:
        self.paths, self.store = paths, store
        self._shipping, self._resolve, self._containers = shipping, resolve, containers

    # Images

    def images(self) -> tuple[ImageView, ...]:
        """The images in the store, newest first."""
        return image_views(self.store.images(), list_records(self.paths))

    def find(self, reference: str) -> Image:
        """The image that *reference* stands for."""
        return self.store.image(self._resolve(reference).image)

    def remove(self, reference: str) -> Image:
        """Forget an image, or only its name *reference* where it has others; see :meth:`.Shipping.remove`."""
        return self._shipping.remove(reference, {state.image: state.name for state in self._containers()})

    def push(self, reference: str, target: str = "", **options: Any) -> Pushed:
        """Send the image of *reference* to *target* (default: the reference, which names a registry then);
        *options* of :meth:`.Shipping.push`."""
        return self._shipping.push(self.find(reference), target or reference, **options)

    def save(self, references: Sequence[str], path: Path, **options: Any) -> tuple[str, ...]:
        """Write the images of *references* to a file or folder; *options* of :meth:`.Shipping.save`."""
        return self._shipping.save([self._resolve(reference) for reference in references], path, **options)

    # Disk

    def size(self) -> StoreSize:
        """What the store takes; looks at every file of it."""
        from shutil import disk_usage

        from .image.usage import measure_tree

        root = self.store.root
        return StoreSize(path=str(root), bytes=measure_tree(root).size, free=disk_usage(root).free)

    def prune(self, *, dry_run: bool = False, unused_for: float = 0.0) -> Collected:
        """Remove from the store what no environment, container or build refers to, cached steps included.

        *unused_for*: keep what was of use within so many seconds. With *dry_run* only tell.
        """
        from .image.gc import collect

        return collect(self.store, unused_for=unused_for, dry_run=dry_run)
