"""The apt step: the locked .debs, and nothing else, installed by the image's own apt over the base."""

from __future__ import annotations

import os

from ..image.model import Layer
from ..sandbox.model import Bind, Overlay
from . import rootfs
from .bootstrap import newest_date
from .context import Context
from .emulation import step_sandbox
from .execution import execute
from .layers import is_folder, make_parents
from .plan import AptStep
from .tree import Tree

__all__ = ["install_packages"]

_FOLDER = "/run/jc/debs"

_OPTIONS = (
    # No sources and no lists: what is not in the folder does not exist.
    "Dir::Etc::SourceList=/dev/null", "Dir::Etc::SourceParts=/dev/null", "Dir::State::Lists=/run/jc-lists/",
    "Dir::Cache::pkgcache=", "Dir::Cache::srcpkgcache=", "APT::Sandbox::User=root", "APT::Install-Recommends=false",
    "Dpkg::Use-Pty=0", "Dpkg::Options::=--force-unsafe-io", "Dpkg::Options::=--force-confold",
    "Dpkg::Progress-Fancy=0", "quiet=1",
)  # fmt: skip


def install_packages(step: AptStep, context: Context) -> Layer:
    """Install the step's packages; apt orders them, and refuses where they don't fit together."""
    context.reporter.phase("downloading")
    debs = context.downloads.wait_for_debs(step.id, context.cancel)
    epoch = newest_date(debs.values())
    with context.store.staging() as staging:
        folder = staging.path / "debs"
        folder.mkdir()
        names = []
        for package in step.packages:
            name = f"{package.name}_{package.version.replace(':', '%3a')}_{package.architecture}.deb"
            os.link(debs[package.name], folder / name)
            names.append(f"{_FOLDER}/{name}")
        with Tree(staging.upper) as tree:
            for place in rootfs.MANUAL_FOLDERS:
                if not is_folder(context.state.paths, place):
                    make_parents(tree, context.state.paths, place)
                    tree.folder(place, 0o755)
        options = [part for option in _OPTIONS for part in ("-o", option)]
        argv = ("apt-get", *options, "install", "--yes", "--allow-downgrades", *names)
        context.reporter.phase("installing")
        sandbox = step_sandbox(
            argv,
            root=Overlay(context.state.paths, staging.upper, staging.work),
            store=context.store.root, binds=(Bind(folder, _FOLDER),), limits=context.bounds.limits,
        )  # fmt: skip
        command = f"apt-get install {' '.join(sorted(debs))}"
        execute(sandbox, command=command, reporter=context.reporter, cancel=context.cancel, bounds=context.bounds)
        context.reporter.phase("committing")
        with Tree(staging.upper) as tree:
            rootfs.clean(tree, day=epoch // 86400)
            rootfs.remove_mount_points(tree)
        return context.store.commit_layer(staging.upper, created_by=step.title, epoch=epoch)
