"""A user's pins: images that `prune` leaves, whatever their age, by name or by digest."""

from __future__ import annotations

from hashlib import sha256

import msgspec

from .digest import is_digest
from .durable import full_disk_told, write_atomically
from .lookup import name_of, resolve
from .records import PinRecord, list_records
from .reference import parse_reference
from .store import Store

__all__ = ["list_pins", "pin_image", "unpin_image"]

_OWNER = "user-"


def pin_image(store: Store, name: str) -> PinRecord:
    """Keep the image *name*: by its digest, or where it is a name, whatever image that name stands for.

    :class:`~jupyter_containers.errors.NotFoundError`.
    """
    with full_disk_told(store.root), store.sharing():
        references = store.references()
        image, reference = resolve(store.root, name, references), name_of(name, references)
        record = PinRecord(owner=_owner(reference or image), image=image, reference=reference)
        write_atomically(store.folder("pins") / f"{record.owner}.json", msgspec.json.encode(record))
    return record


def unpin_image(store: Store, name: str) -> bool:
    """Undo :func:`pin_image`, for a name or a digest; False where there was no such pin."""
    digest = name if name.startswith("sha256:") else f"sha256:{name}"
    whole = "" if is_digest(digest) else str(parse_reference(name))
    found = False
    with store.sharing():
        for pin in list_pins(store):
            if pin.reference == whole if pin.reference else pin.image == digest:
                (store.folder("pins") / f"{pin.owner}.json").unlink(missing_ok=True)
                found = True
    return found


def list_pins(store: Store) -> tuple[PinRecord, ...]:
    """The pins of the store's user, with the images that names stand for by now (none: empty)."""
    references = store.references()
    pins = [
        msgspec.structs.replace(pin, image=references.get(pin.reference, "")) if pin.reference else pin
        for _, pin in list_records(store.folder("pins"), PinRecord)
        if pin.owner.startswith(_OWNER)
    ]
    return tuple(sorted(pins, key=lambda pin: pin.reference or pin.image))


def _owner(key: str) -> str:
    return f"{_OWNER}{sha256(key.encode()).hexdigest()[:32]}"
