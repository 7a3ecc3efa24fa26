"""Commands for the store and its disk: ``df``, ``prune``, ``pin``, ``unpin``, ``publish``, ``verify``,
``diff-image``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .base import EXIT_ERROR, Command
from .output import age, parse_age, print_json, print_table, printable

if TYPE_CHECKING:
    from ..disk_views import DiskView
    from ..image.compare import ImageDifference

__all__ = ["Df", "DiffImage", "Pin", "Prune", "Publish", "Unpin", "Verify"]

_MOST_FILES = 40


class Df(Command):
    name = "df"
    summary = "show what images, containers, caches and builds take of the disk"
    description = (
        "Files that several images, or images and caches, have are counted once. Of an image, OWN is what would be "
        "free if just it were gone; RECLAIMABLE is what `prune --all` would free."
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("-v", "--verbose", action="store_true", help="each image, layer, cache and container")
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments

        view = Environments().storage.disk()
        if options.json:
            print_json(view)
            return 0
        _print_summary(view)
        if options.verbose:
            _print_details(view)
        return 0


class Prune(Command):
    name = "prune"
    summary = "free disk: what nothing refers to, or what was not used for long"
    description = (
        "Remove images without a name, layers and cached steps that no image uses, what interrupted builds left, and "
        "builds' logs older than 30 days. With --all also caches, and images that have a name; with --keep-bytes, of "
        "all that, only as much as is over the bound, the least recently used first. What is pinned, and what "
        "containers use, stays."
    )
    examples = (
        "  jupyter containers prune --dry-run\n"
        "  jupyter containers prune --keep-bytes 20G\n"
        "  jupyter containers prune --all --until 30d"
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("-n", "--dry-run", action="store_true", help="tell what would go, remove nothing")
        parser.add_argument("-a", "--all", action="store_true", help="also caches, and images that have a name")
        parser.add_argument("--until", metavar="AGE", help="only what was not used for that long: 36h, 30d")
        parser.add_argument("--keep-bytes", metavar="SIZE", help="no more than what is over it: 20G")
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments
        from ..spec.sizes import format_size, parse_size
        from ..storage import LOGS_KEPT

        until = parse_age(options.until) if options.until else 0.0
        try:
            keep = parse_size(options.keep_bytes) if options.keep_bytes else None
        except ValueError as error:
            raise InputError(f"--keep-bytes: {error}") from error
        if keep is not None and options.all:
            raise InputError(
                "--all and --keep-bytes: --keep-bytes takes of all, as much as is needed", hint="leave out one"
            )
        removed = Environments().storage.prune(
            dry_run=options.dry_run, unused_for=until, everything=options.all, keep_bytes=keep,
            logs_for=until if options.until else LOGS_KEPT,
        )  # fmt: skip
        if options.json:
            print_json(removed)
        else:
            for item in removed.items:
                print(printable(item))
            print(f"{'would free' if options.dry_run else 'freed'} {format_size(removed.size)}")
        if keep is not None and removed.left is not None and removed.left > keep:
            print(f"the store holds {format_size(removed.left)}: the rest is pinned, in use, or new", file=sys.stderr)
        return 0


class Pin(Command):
    name = "pin"
    summary = "keep images from `prune`, or list what is kept"
    description = (
        "A name is kept with whatever image it stands for, a digest as it is. Without an image: list the pins."
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("image", nargs="*", metavar="ENV|IMAGE")
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments

        storage = Environments().storage
        pins = [storage.pin(name) for name in options.image] if options.image else list(storage.pins())
        if options.json:
            print_json(pins)
        elif options.image:
            for pin in pins:
                print(pin.reference or pin.image)
        else:
            print_table(("PINNED", "IMAGE"), [(pin.reference or "-", pin.image[:19] or "none") for pin in pins])
        return 0


class Unpin(Command):
    name = "unpin"
    summary = "let `prune` take images again"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("image", nargs="+", metavar="ENV|IMAGE")

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments

        storage = Environments().storage
        missing = [name for name in options.image if not storage.unpin(name)]
        for name in missing:
            print(f"{printable(name)} is not pinned", file=sys.stderr)
        return EXIT_ERROR if missing else 0


class Publish(Command):
    name = "publish"
    summary = "put images into a store that other users share"
    description = (
        "Copy images into a store that every user of this machine can read. They find it by "
        "JUPYTER_CONTAINERS_SHARED_STORES, or `[store] shared` in their configuration. With --for, as root: mount it "
        "so that a user's containers can have its layers without a copy; until the next start of the machine."
    )
    examples = (
        "  jupyter containers publish ml-intro r-stats --to /srv/jc\n"
        "  sudo jupyter containers publish --to /srv/jc --for ann --for bob"
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("image", nargs="*", metavar="ENV|IMAGE")
        parser.add_argument("--to", required=True, metavar="FOLDER", help="where the shared store is, or is made")
        parser.add_argument(
            "--for", dest="users", action="append", default=[], metavar="USER", help="mount it for them"
        )
        parser.add_argument(
            "--downloads", action="store_true", help="all that was downloaded here as well, for others' builds"
        )
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments
        from .progress import Transfer

        storage, folder = Environments().storage, Path(options.to).absolute()
        if not options.image and not options.users and not options.downloads:
            raise InputError("nothing to publish, and nobody to mount it for", hint="name an image, or `--for USER`")
        with Transfer() as progress:
            published = storage.publish(options.image, folder, progress=progress)
        downloads = storage.publish_downloads(folder) if options.downloads else 0
        mounts = [storage.mount_for(user, folder) for user in options.users]
        if options.json:
            print_json({"published": published, "downloads": downloads, "mounts": mounts})
            return 0
        for each in published:
            print(f"{', '.join(each.references) or each.image}: {each.layers} new layers")
        if options.downloads:
            print(f"{downloads} new downloads")
        for mount in mounts:
            print(mount)
        return 0


class Verify(Command):
    name = "verify"
    summary = "hash everything in the store again, and repair it"
    description = (
        "Check every layer, document, download and prepared package against its digest. With --repair what is damaged "
        "is taken out; images from a registry are pulled again, the rest is made anew when it is needed. Exit status 1 "
        "where something is damaged and not repaired."
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--repair", action="store_true", help="take out what is damaged, fetch what can be")
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments
        from .progress import Transfer

        with Transfer() as progress:
            found = Environments().storage.verify(repair=options.repair, progress=progress, notify=progress.say)
        if options.json:
            print_json(found)
        else:
            for damage in found:
                print(f"{damage.kind} {printable(damage.name)}: {printable(damage.cause)}")
                if damage.remedy:
                    print(f"  {printable(damage.remedy)}")
            print("everything is what it should be" if not found else f"{len(found)} things were damaged")
        return EXIT_ERROR if any(not damage.repaired for damage in found) else 0


class DiffImage(Command):
    name = "diff-image"
    summary = "explain how two images differ"
    description = (
        "Compare configuration, layers and files, and name the likely cause: other versions in the locks, another "
        "command, times. Exit status 1 where the two differ."
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("a", metavar="ENV|IMAGE")
        parser.add_argument("b", metavar="ENV|IMAGE")
        parser.add_argument("--all", action="store_true", help=f"all files, and not the first {_MOST_FILES}")
        self.add_json(parser)

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments

        difference = Environments().storage.compare(options.a, options.b)
        if options.json:
            print_json(difference)
        elif difference.is_empty:
            print(f"{options.a} and {options.b} are the same image {difference.a}")
        else:
            _print_difference(difference, _MOST_FILES if not options.all else len(difference.files))
        return 0 if difference.is_empty else EXIT_ERROR


def _print_summary(view: DiskView) -> None:
    from ..spec.sizes import format_size

    running = [each for each in view.containers if each.status in ("running", "paused")]
    ended = sum(each.size for each in view.containers if each not in running)
    used = sum(1 for each in view.images if each.containers)
    rows = [
        ("Images", len(view.images), used, view.images_size, view.images_reclaimable),
        ("Containers", len(view.containers), len(running), sum(each.size for each in view.containers), ended),
        ("Caches", len(view.caches), "-", view.caches_size, sum(each.own for each in view.caches)),
        ("Builds", view.builds, "-", view.builds_size, view.builds_size),
    ]
    print_table(
        ("TYPE", "TOTAL", "IN USE", "SIZE", "RECLAIMABLE"),
        [
            (kind, str(total), str(active), format_size(size), format_size(free))
            for kind, total, active, size, free in rows
        ],
    )
    print(f"\n{format_size(view.total)} in {view.path}; {format_size(view.free)} of the disk are free")
    if view.unneeded:
        print(f"no image has the layers of cached steps, {format_size(view.unneeded)}: `prune` removes them")


def _print_details(view: DiskView) -> None:
    from ..spec.sizes import format_size

    print()
    print_table(
        ("IMAGE", "NAMES", "LAYERS", "SIZE", "SHARED", "OWN", "USED", "CONTAINERS", ""),
        [
            (
                each.digest[:19], ", ".join(each.references) or "-", str(each.layers), format_size(each.size),
                format_size(each.shared), format_size(each.own), f"{age(time.time() - each.last_used)} ago",
                str(each.containers), "pinned" if each.pinned else "",
            )
            for each in view.images
        ],
    )  # fmt: skip
    print()
    print_table(
        ("LAYER", "IMAGES", "SIZE", "OWN", "BY"),
        [
            (each.diff_id[:19], str(each.images), format_size(each.size), format_size(each.own), each.created_by[:60])
            for each in view.layers
        ],
    )
    print()
    print_table(
        ("CACHE", "SIZE", "OWN"), [(each.name, format_size(each.size), format_size(each.own)) for each in view.caches]
    )
    if view.containers:
        print()
        print_table(
            ("CONTAINER ID", "NAME", "STATUS", "SIZE"),
            [(each.id, each.name, each.status, format_size(each.size)) for each in view.containers],
        )


def _print_difference(difference: ImageDifference, most: int) -> None:
    for cause in difference.causes:
        print(f"likely cause: {printable(cause)}")
    if difference.config:
        print("\nconfiguration")
        for field in difference.config:
            print(f"  {field.field}: {_shown(field.a)} → {_shown(field.b)}")
    if difference.layers:
        print("\nlayers")
        for layer in difference.layers:
            by = (
                layer.created_by_a
                if layer.created_by_a == layer.created_by_b
                else (f"{layer.created_by_a or '-'} | {layer.created_by_b or '-'}")
            )
            print(f"  {layer.position + 1}: {layer.a[:19] or '-':19} {layer.b[:19] or '-':19} {printable(by)}")
            if layer.note:
                print(f"     {layer.note}")
    if difference.files:
        print("\nfiles")
        letters = {"added": "A", "removed": "D", "changed": "C"}
        for file in difference.files[:most]:
            print(f"  {letters[file.kind]} {printable(file.path)}  {', '.join(file.changes)}".rstrip())
        if len(difference.files) > most:
            print(f"  and {len(difference.files) - most} more (--all)")


def _shown(value: Any) -> str:
    return "-" if value is None else printable(value if isinstance(value, str) else json.dumps(value))
