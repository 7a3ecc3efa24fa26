"""Containers that this process keeps itself, and that do not outlive it."""

from __future__ import annotations

import os
from contextlib import ExitStack

from ..image.model import Image
from ..image.store import Store
from ..paths import Paths
from ..sandbox.process import spawn
from .base import ContainerConfig, Stdio
from .charge import Charge
from .disk import DiskWatch
from .ending import finish
from .facts import read_image
from .folder import Folder
from .keeper import Keeper
from .leases import leased
from .scarcity import scarcity_told
from .starting import Spawner, start_sandbox

__all__ = ["start_owned"]


@scarcity_told()
def start_owned(
    folder: Folder,
    config: ContainerConfig,
    image: Image,
    *,
    paths: Paths,
    store: Store,
    stdin: Stdio,
    stdout: Stdio,
    stderr: Stdio,
    spawner: Spawner | None = None,
) -> Charge:
    """Start the container in *folder* and hand it to this process's keeper. Errors as of :func:`start_sandbox`.

    *spawner* None: what the configuration asks for.
    """
    keeper = Keeper.current()
    reaper = keeper.reaper(folder.path.parent)
    reaper.add(folder.id)  # before anything is made: from here on a kill -9 leaves nothing
    held = ExitStack()
    output: int | None = None
    try:
        held.callback(os.close, folder.hold())
        held.enter_context(leased(store.root, (config.image, *config.layers)))
        facts = read_image(image)
        if spawner is None:
            spawner = _choose_spawner(config, image, paths, store, streams=(stdin, stdout, stderr))
        made_by = spawner
        out, err = -1 if stdout is None else stdout, -1 if stderr is None else stderr
        with ExitStack() as ours:
            if out < 0 or err < 0:
                output, log = os.pipe()
                ours.callback(os.close, log)
                out, err = out if out >= 0 else log, err if err >= 0 else log
            started = keeper.start(
                lambda: start_sandbox(
                    folder,
                    config,
                    facts,
                    home=paths.home,
                    stdin=stdin,
                    stdout=out,
                    stderr=err,
                    output=output,
                    spawner=made_by,
                )
            )
    except BaseException:
        if output is not None:
            os.close(output)
        held.close()
        reaper.discard(folder.id)
        raise
    assert started.kept.process is not None
    charge = Charge(
        folder=folder,
        process=started.process,
        start=started.kept.process.start,
        held=held,
        remove=config.remove,
        lasting=config.kind == "kernel" and not config.remove,
        output=output,
        watch=DiskWatch(str(folder.upper), config.disk) if config.disk is not None else None,
        time=config.time,
        scratch=config.scratch,
    )
    try:
        keeper.keep(charge)
    except BaseException:
        started.process.kill()  # nobody would wait for it
        finish(folder.path, started.process.wait(), reason="it could not be kept", remove=False)
        held.close()
        raise
    return charge


def _choose_spawner(
    config: ContainerConfig, image: Image, paths: Paths, store: Store, *, streams: tuple[Stdio, Stdio, Stdio]
) -> Spawner:
    if config.warm is None:
        return spawn
    from .warm import choose_spawner  # late: most starts are none of a fork

    return choose_spawner(config, image, paths, store, streams=streams, start=start_owned)
