"""The images of one user and the disk they take: what :class:`.Environments` hands on to."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from .disk_views import CacheDisk, ContainerDisk, DiskView, ImageDetail, ImageDisk, LayerDetail, PruneView, layer_views
from .errors import ContainersError
from .paths import Paths
from .spec.catalog import list_records
from .views import HistoryView, ImageView, Resolved, StoreSize, image_views

if TYPE_CHECKING:
    from .image.check import Damage
    from .image.compare import ImageDifference
    from .image.model import Image
    from .image.progress import Progress
    from .image.publishing import Published
    from .image.push import Pushed
    from .image.records import PinRecord
    from .image.store import Store
    from .runtime.base import ContainerState
    from .shipping import Shipping

__all__ = ["LOGS_KEPT", "Storage"]

LOGS_KEPT = 30 * 86400.0
"""Seconds that builds' logs stay."""


def _quiet(what: str, done: int, total: int) -> None:
    """Tells nobody."""


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

    def inspect(self, reference: str) -> ImageDetail:
        """All that is known of an image."""
        from .image.attached import list_attached
        from .image.survey import survey

        image = self.find(reference)
        entry = next(each for each in survey(self.store).images if each.record.digest == image.digest)
        return ImageDetail(
            digest=image.digest, references=image.references, created_at=image.created, last_used=entry.last_used,
            environments=tuple(each.name for each in list_records(self.paths) if each.image == image.digest),
            pinned=any(pin.image == image.digest for pin in self.pins()), manifest_digest=image.manifest_digest,
            size=image.size, config=msgspec.json.decode(self.store.read_blob(image.digest)),
            attached=tuple(artifact.kind for artifact in list_attached(self.store, image.digest)),
            layers=tuple(
                LayerDetail(
                    diff_id=layer.diff_id, created_by=layer.created_by, size=layer.size, entries=layer.entries,
                    path=str(layer.path),
                )
                for layer in image.layers
            ),
        )  # fmt: skip

    def history(self, reference: str) -> tuple[HistoryView, ...]:
        """What made an image, and what each step left; the lowest layer first."""
        image = self.find(reference)
        layers = iter(image.layers)
        rows = []
        for entry in image.config.history or ():
            layer = None if entry.empty_layer else next(layers, None)
            rows.append(
                HistoryView(
                    created=entry.created, created_by=entry.created_by, comment=entry.comment,
                    diff_id=layer.diff_id if layer else "", size=layer.size if layer else 0,
                )
            )  # fmt: skip
        return tuple(rows)

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

    def disk(self) -> DiskView:
        """What everything takes, shared against own; looks at every file."""
        from shutil import disk_usage

        from .image.survey import survey
        from .image.usage import measure, measure_tree

        found = survey(self.store)
        containers = self._containers()
        users = Counter(state.image for state in containers)
        kept = {each.record.digest for each in found.images if each.pinned or each.held} | users.keys()
        usage = measure(self.store, kept=kept)
        entries = {each.record.digest: each for each in found.images}
        pinned = {pin.image for pin in self.pins()}
        images = [
            ImageDisk(
                digest=each.digest, references=entries[each.digest].references, size=each.usage.size,
                own=each.usage.own, shared=each.usage.size - each.usage.own, layers=each.layers,
                last_used=entries[each.digest].last_used, pinned=each.digest in pinned,
                containers=users[each.digest],
            )
            for each in usage.images
            if each.digest in entries
        ]  # fmt: skip
        return DiskView(
            path=str(self.paths.home), total=measure_tree(self.paths.home).size, store=usage.total,
            free=disk_usage(self.paths.home).free, images=tuple(sorted(images, key=lambda each: -each.own)),
            images_size=usage.trees, images_reclaimable=usage.reclaimable, layers=layer_views(usage),
            unneeded=usage.unneeded, caches_size=usage.caches_size, documents=usage.documents,
            temporary=usage.temporary, builds=sum(1 for _ in self.paths.builds.iterdir()),
            builds_size=measure_tree(self.paths.builds).size,
            caches=tuple(CacheDisk(name=name, size=each.size, own=each.own) for name, each in usage.caches.items()),
            containers=tuple(
                ContainerDisk(
                    id=state.id, name=state.name, status=state.status,
                    size=measure_tree(self.paths.containers / state.id).size,
                )
                for state in containers
            ),
        )  # fmt: skip

    def prune(
        self,
        *,
        dry_run: bool = False,
        unused_for: float = 0.0,
        everything: bool = False,
        keep_bytes: int | None = None,
        logs_for: float = LOGS_KEPT,
    ) -> PruneView:
        """Remove from the store what no environment, container or build refers to, cached steps included.

        *unused_for*: keep what was of use within so many seconds. *everything*: also caches, and images that have a
        name, where neither a pin nor a container keeps them. *keep_bytes*: of all that, the least recently used
        first, only as much as the store holds more. *logs_for*: builds' logs older than so many seconds go, too. With
        *dry_run* only tell.
        """
        from .build.history import forget_builds
        from .image.pruning import prune

        done = prune(self.store, unused_for=unused_for, everything=everything, keep_bytes=keep_bytes, dry_run=dry_run)
        logs = forget_builds(self.paths, older_than=time.time() - logs_for, dry_run=dry_run)
        size = done.size + sum(log.size for log in logs)
        return PruneView(items=(*done.items, *(f"build {log.id}" for log in logs)), size=size, left=done.left)

    def verify(
        self, *, repair: bool = False, progress: Progress = _quiet, notify: Callable[[str], None] = lambda text: None
    ) -> tuple[Damage, ...]:
        """Hash everything again: layers, documents, downloads and prepared packages.

        With *repair* what is damaged is taken out, and images that came from a registry are completed from it; what a
        build or `lock` makes or downloads is made when it is needed. *notify* is told of each pull that fails.
        """
        from .build.prepared import verify_packages
        from .image.check import broken_images, verify

        found = verify(self.store, repair=repair, progress=progress)
        found += verify_packages(self.store, repair=repair, progress=progress)
        if not repair:
            return found
        broken = broken_images(self.store)  # those that lack a part since
        rest = tuple(each for each in found if each.kind != "image")
        return (*rest, *(self._completed(each, progress, notify) for each in broken))

    def compare(self, a: str, b: str) -> ImageDifference:
        """All that is not the same in two images, and what it is likely to come from."""
        from .build.causes import find_causes
        from .image.compare import compare

        with self.store.lease():
            difference = compare(self.store, self.find(a), self.find(b))
        return msgspec.structs.replace(difference, causes=find_causes(self.store, difference))

    def publish(self, references: Sequence[str], folder: Path, *, progress: Progress = _quiet) -> tuple[Published, ...]:
        """Copy images to the shared store in *folder*, which other users then read (docs/store.md)."""
        from .image.publishing import open_shared, publish

        images = [(self._resolve(reference), self.find(reference)) for reference in references]
        if not images:
            return ()
        target = open_shared(folder)
        done = []
        for entry, image in images:
            names = [f"{entry.environment.name}:latest"] if entry.environment else image.references
            done.append(publish(self.store, image, target, names, progress=progress))
        return tuple(done)

    def publish_downloads(self, folder: Path) -> int:
        """Let builds of others take what was downloaded here from the shared store in *folder*; how many files."""
        from .image.publishing import open_shared, publish_downloads

        return publish_downloads(self.store, open_shared(folder))

    def mount_for(self, user: str, folder: Path) -> Path:
        """Let *user* (a name, or an id) see the shared store in *folder* as theirs, until the machine is started again.

        Only root may.
        """
        from .image.shared import personal_mount
        from .sandbox.personal import find_user, mount_for

        uid, gid = find_user(user)
        target = personal_mount(folder, uid)
        mount_for(folder / "store", target, uid=uid, gid=gid)
        return target

    # Pins

    def pin(self, reference: str) -> PinRecord:
        """Keep an image from `prune`: where *reference* is a name, whatever image it stands for."""
        from .image.pinning import pin_image

        entry = self._resolve(reference)
        name = f"{entry.environment.name}:latest" if entry.environment else reference
        return pin_image(self.store, name)

    def unpin(self, reference: str) -> bool:
        """Undo :meth:`pin`; False where there was none."""
        from .image.pinning import unpin_image

        return unpin_image(self.store, reference)

    def pins(self) -> tuple[PinRecord, ...]:
        """What is pinned by the user."""
        from .image.pinning import list_pins

        return list_pins(self.store)

    # Inside

    def _completed(self, damage: Damage, progress: Progress, notify: Callable[[str], None]) -> Damage:
        """The broken image of *damage*, pulled again where a registry is known to have it."""
        from .image.check import origins

        for origin in origins(self.store, damage.name):
            try:
                pulled = self._shipping.pull(origin, progress=progress, notify=notify)
            except ContainersError as error:
                notify(f"{origin}: {error.message}")
                continue
            self.store.untag(pulled.reference)  # by its digest: it has names
            if pulled.image.digest == damage.name:
                return replace(damage, repaired=True, remedy=f"pulled again from {pulled.source}")
        names = [entry.name for entry in list_records(self.paths) if entry.image == damage.name]
        again = f"`jupyter containers build {names[0]}`" if names else "load or build it again"
        return replace(damage, remedy=f"{again} makes it whole")
