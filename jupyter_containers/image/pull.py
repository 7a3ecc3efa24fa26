"""Pulling: an image of a registry into the store. Only layers that the store has not yet are moved."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from ..errors import NotFoundError, RegistryError, UnreachableError, UntrustedContentError
from .attached import LARGEST, attach
from .blobs import remember_place
from .bounds import DEFAULT_BOUNDS, Bounds
from .foreign import load_layer
from .layout import host_architecture
from .model import Descriptor, Image, Layer
from .parallel import run_all
from .plan import Plan, check_plan, plan_entry
from .progress import Counter, Progress, quiet
from .reference import Reference
from .referrers import list_referrers, read_referrer
from .registry import Registry
from .registry_auth import Credential
from .registry_settings import RegistrySettings, remote_reference
from .repository import Document, Repository
from .store import Store

__all__ = ["Pulled", "pull"]


@dataclass(frozen=True, slots=True)
class Pulled:
    """What came of a pull."""

    image: Image
    reference: str
    """In full, as the image is called in the store now."""
    digest: str
    """Of what the registry calls so: an index where it has several platforms, else the manifest."""
    source: str
    """The registry, or its mirror, that gave it."""
    moved: int
    """Layers that were not here before."""
    attached: tuple[str, ...] = ()
    """Kinds of the artefacts that came along."""


def pull(
    store: Store,
    name: str,
    *,
    settings: RegistrySettings,
    credential: Callable[[str], Credential | None] = lambda _: None,
    architecture: str = "",
    attached: bool = False,
    bounds: Bounds = DEFAULT_BOUNDS,
    progress: Progress = quiet,
    notify: Callable[[str], None] = lambda _: None,
) -> Pulled:
    """Take the image that *name* stands for into the store, under its full name.

    *architecture* (default: the host's) chooses in an index: ``arm64``, ``arm/v7``. With *attached* the artefacts that
    the registry has of the image are kept with it, those of at most :data:`.attached.LARGEST` bytes. Progress is in
    bytes as they are transferred; *notify* is told of each detour. Raises :class:`UnreachableError`,
    :class:`NotFoundError`, :class:`RegistryError`, :class:`UntrustedContentError`,
    :class:`~jupyter_containers.errors.OutOfSpaceError`; layers that were whole by then go with the next collection.
    """
    reference = remote_reference(name)
    endpoints = settings.endpoints(reference.registry)
    with store.lease():  # what one endpoint gave before it failed is there for the next
        for number, endpoint in enumerate(endpoints):
            stop = threading.Event()
            try:
                with Registry(endpoint, settings, credential=credential, notify=notify, stop=stop) as registry:
                    repository = Repository(registry, reference.repository)
                    pulled = _pull(store, reference, repository, architecture or host_architecture(), bounds, progress)
                    return _with_artifacts(store, repository, pulled) if attached else pulled
            except (UnreachableError, NotFoundError, RegistryError) as error:
                if number + 1 == len(endpoints):
                    raise
                notify(f"the mirror {endpoint} does not serve: {error.message}; asking {endpoints[number + 1]}")
    raise AssertionError("there is always the registry itself")


def _pull(
    store: Store, reference: Reference, repository: Repository, architecture: str, bounds: Bounds, progress: Progress
) -> Pulled:
    document = repository.manifest(reference.digest or reference.tag)
    what = str(repository)
    plan = plan_entry(
        document.descriptor, partial(_read, repository, document), what=what, architecture=architecture, bounds=bounds
    )
    check_plan(plan, what, bounds)
    if plan.config.architecture != architecture.partition("/")[0]:
        raise UntrustedContentError(
            f"{reference} is for linux/{plan.config.architecture} and not for linux/{architecture}",
            hint=f"`--platform linux/{plan.config.architecture}` takes it all the same",
        )
    layers, moved = _fetch_layers(store, plan, repository, bounds, progress)
    image = store.put_document(plan.document, layers, manifest=plan.manifest, manifest_document=plan.manifest_document)
    store.tag(str(reference), image.digest)
    if repository.registry.name == reference.registry:
        for digest in (image.digest, *(entry.digest for _, entry, _ in plan.layers if entry is not None)):
            remember_place(store, digest, what)
    return Pulled(
        store.image(image.digest), str(reference), document.descriptor.digest, repository.registry.name, moved
    )


def _with_artifacts(store: Store, repository: Repository, pulled: Pulled) -> Pulled:
    image = pulled.image
    kinds = []
    for entry in list_referrers(repository, image.manifest_digest):
        artifact = read_referrer(repository, entry, image.manifest_digest, limit=LARGEST)
        if artifact is not None:
            attach(store, image.digest, artifact)
            kinds.append(artifact.kind)
    return replace(pulled, attached=tuple(kinds))


def _read(repository: Repository, first: Document, entry: Descriptor) -> bytes:
    """A document; not the one once more that it all began with."""
    return first.data if entry == first.descriptor else repository.read_document(entry)


def _fetch_layers(
    store: Store, plan: Plan, repository: Repository, bounds: Bounds, progress: Progress
) -> tuple[list[Layer], int]:
    diff_ids = plan.config.rootfs.diff_ids
    texts = [entry.created_by for entry in plan.config.history or () if not entry.empty_layer]
    texts += [""] * (len(diff_ids) - len(texts))
    missing = {
        diff_id: (number, entry, compression)
        for number, (diff_id, (_, entry, compression)) in enumerate(zip(diff_ids, plan.layers, strict=True))
        if entry is not None and store.find_layer(diff_id) is None
    }
    counter = Counter("pulling layers", sum(entry.size for _, entry, _ in missing.values()), progress)

    def fetch(diff_id: str) -> Layer:
        number, entry, compression = missing[diff_id]
        with repository.open_blob(entry, counter) as stream:
            return load_layer(
                store, stream, diff_id, what=f"{repository}, layer {number + 1}", created_by=texts[number],
                descriptor=entry, compression=compression, bounds=bounds,
            )  # fmt: skip

    registry = repository.registry
    run_all([partial(fetch, diff_id) for diff_id in missing], parallel=registry.settings.parallel, stop=registry.stop)
    found = [store.find_layer(diff_id) for diff_id in diff_ids]
    return [layer for layer in found if layer is not None], len(missing)
