"""What an image is given to be a kernel: found where it is there, made where it is not."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ...errors import ArchiveError, BuildError, CancelledError, NotFoundError, UnreachableError
from ...image.caches import use_caches
from ...image.inside import exists_in_root
from ...image.model import Image, Layer
from ...image.store import Store
from ...lock.fetch import Fetcher
from ...lock.model import Interpreter
from ...lock.resolve import archive_cache, uv_cache
from ...lock.settings import Settings
from ...paths import Paths
from .. import history
from ..bytecode import compile_trees
from ..emulation import check_architecture
from ..monitor import Monitor, silent
from ..report import Reporter, Waiting, check_cancelled, told_endings
from .interpreter import InterpreterLock, find_lock, own_python, resolve_interpreter, unpack_interpreter
from .packages import install_packages, platform_of
from .places import INSIDE, LIBRARY, MOUNT, PYTHON, REQUIREMENTS, START
from .probe import ImagePython, Probe, known_probe, probe_image

__all__ = ["Injection", "ensure_injection", "find_injection"]

_FORMAT = 2
"""Raised when the same inputs give another layer."""
_LIBRARY_PATH = "LD_LIBRARY_PATH"
_SKELETON = ("dev", "etc", "proc", "run", "sys", "tmp")
"""Folders that a sandbox mounts things on, and that an image made from scratch may lack."""


class Injection(msgspec.Struct, frozen=True, kw_only=True):
    """How the kernel of an image is started."""

    python: str
    """Absolute path in the container."""
    layer: str = ""
    """diff_id of the layer that is mounted at :data:`~.places.MOUNT`; empty: the image has an ipykernel of its own."""
    note: str = ""
    """What the user should know: that cells run on another Python than the image's."""

    @property
    def argv(self) -> tuple[str, ...]:
        """The kernel's command, but for its own arguments."""
        return (self.python, f"{MOUNT}/{START}") if self.layer else (self.python, "-m", "ipykernel_launcher")


class _Order(msgspec.Struct, frozen=True, kw_only=True):
    """A layer to be made, or found."""

    id: str
    python: ImagePython
    layers: tuple[Layer, ...] = ()
    """Of the image, as many as its interpreter is in; none for an interpreter of ours."""
    lock: InterpreterLock | None = None
    libraries: str = ""
    """Where the image's own variable has the loader look for libraries: the interpreter's may lie there."""

    def injection(self, layer: Layer, probe: Probe) -> Injection:
        note = "" if self.lock is None else f"{probe.reason}: cells run on a Python {self.python.version} of their own"
        return Injection(python=self.python.path, layer=layer.diff_id, note=note)


def find_injection(image: Image, store: Store) -> Injection | None:
    """What *image* is given, where that is known and there; None where :func:`ensure_injection` has work to do."""
    probe = known_probe(image, store)
    if probe is None:
        return None
    if probe.python is not None and probe.python.kernel:
        return Injection(python=probe.python.path)
    lock = None if probe.python is not None else find_lock(store, image.config.architecture)
    if probe.python is None and lock is None:
        return None
    order = _order(image, probe, lock)
    layer = store.step(order.id)
    return None if layer is None else order.injection(layer, probe)


def ensure_injection(
    image: Image,
    *,
    name: str,
    paths: Paths,
    settings: Settings | None = None,
    monitor: Monitor = silent,
    cancel: threading.Event | None = None,
) -> Injection:
    """What *image* is given, made where it is not there; *name* is how the user knows the image.

    Recorded among the builds where there is work. Raises :class:`HostError` where the image is of an architecture that
    does not run here, :class:`UnreachableError`, :class:`BuildError`, :class:`CancelledError`.
    """
    present = find_injection(image, Store(paths.store))
    if present is not None:
        return present
    check_architecture(image.config.architecture)
    recorder = history.Recorder(
        paths, build_id=history.new_build_id(), name=name, spec_file="", monitor=monitor,
    )  # fmt: skip
    with recorder:
        reporter = Reporter(recorder, title=f"kernel for {name}", log=str(recorder.log))
        try:
            found = _ensure(image, paths, settings or Settings.current(), reporter, cancel or threading.Event())
        except KeyboardInterrupt:
            raise CancelledError("the build was cancelled", hint="start again: finished parts are kept") from None
        recorder.finish(image.digest)
    return found


def _ensure(image: Image, paths: Paths, settings: Settings, reporter: Reporter, cancel: threading.Event) -> Injection:
    store = Store(paths.store)
    reporter.phase("planning", "looking for the image's Python")
    with told_endings(cancel, paths.store), store.lease([image.digest]), use_caches(paths.store):
        probe = probe_image(image, store)
        if probe.python is not None and probe.python.kernel:
            return Injection(python=probe.python.path)
        check_cancelled(cancel)
        with Fetcher(archive_cache(paths), settings) as fetcher:
            if probe.python is not None:
                return _take(image, probe, None, paths, store, fetcher, reporter, cancel)
            architecture = image.config.architecture
            reporter.phase("resolving", f"{probe.reason}: a Python is brought along")
            known = find_lock(store, architecture)
            if known is not None:
                try:
                    return _take(image, probe, known, paths, store, fetcher, reporter, cancel)
                except UnreachableError:
                    raise
                except ArchiveError as error:
                    # An archive keeps the newest packages only, and ours is lost.
                    reporter.say(f"{error.message}: looking for newer packages")
            lock = resolve_interpreter(store, architecture, fetcher, reporter)
            return _take(image, probe, lock, paths, store, fetcher, reporter, cancel)


def _take(
    image: Image, probe: Probe, lock: InterpreterLock | None, paths: Paths, store: Store, fetcher: Fetcher,
    reporter: Reporter, cancel: threading.Event,
) -> Injection:  # fmt: skip
    """The layer from the store, from another who makes it, or made here."""
    order = _order(image, probe, lock)
    with store.lock_step(order.id, waiting=Waiting(reporter, cancel)):
        layer = store.step(order.id)
        if layer is None:
            reporter.started("installing")
            layer = _make(order, image, paths, store, fetcher, reporter, cancel)
            store.record_step(order.id, layer)
            reporter.finished()
    return order.injection(layer, probe)


def _order(image: Image, probe: Probe, lock: InterpreterLock | None) -> _Order:
    """What would be made for *image*, with an id of all that decides the result."""
    architecture = image.config.architecture
    parts = [str(_FORMAT), architecture, MOUNT, _digest(REQUIREMENTS), _digest(*sorted(INSIDE.glob("*.py")))]
    if probe.python is None:
        assert lock is not None
        python = own_python(lock)
        parts += [f"{package.name} {package.sha256}" for package in lock.packages]
        return _Order(id=_id(parts), python=python, lock=lock)
    python = probe.python
    layers = _with_interpreter(image, python.path)
    # Byte code is compiled by the image's own interpreter, so it is shared by images only as far as that one is the
    # same: an image could spoil it for all others otherwise.
    libraries = image.config.execution.environment.get(_LIBRARY_PATH, "")
    parts += [python.path, python.version, platform_of(python, architecture), libraries]
    parts += [layer.diff_id for layer in layers]
    return _Order(id=_id(parts), python=python, layers=layers, libraries=libraries)


def _with_interpreter(image: Image, path: str) -> tuple[Layer, ...]:
    """The lowest layers that the interpreter at *path* is in: those of a base image that many images have."""
    paths = image.layer_paths
    for count in range(1, len(paths) + 1):
        if exists_in_root(paths[:count], path):
            return image.layers[:count]
    raise NotFoundError(f"the image has no {path}")


def _make(
    order: _Order, image: Image, paths: Paths, store: Store, fetcher: Fetcher, reporter: Reporter,
    cancel: threading.Event,
) -> Layer:  # fmt: skip
    python, architecture = order.python, image.config.architecture
    with store.staging() as staging:
        work = staging.path / "inject"
        tree, below = work / "trees" / "kernel", work / "below"
        for folder in (tree, below, work / "uv", work / "first", work / "second"):
            folder.mkdir(parents=True)
        for name in _SKELETON:
            (below / name).mkdir()
        layers = (below, *(layer.path for layer in order.layers))
        if order.lock is not None:
            root = work / "debian"
            root.mkdir()
            unpack_interpreter(
                order.lock, tree, root=root, store=store, architecture=architecture, fetcher=fetcher,
                reporter=reporter, cancel=cancel,
            )  # fmt: skip
            layers = (below, root)
        reporter.phase("installing")
        install_packages(
            tree / LIBRARY, python, architecture=architecture, work=work / "uv", cache=uv_cache(paths),
            settings=fetcher.settings, with_pip=order.lock is not None,
        )  # fmt: skip
        check_cancelled(cancel)
        reporter.phase("compiling")
        # The interpreter by the path that it has there: of ours, the one that Debian's tree has.
        compiler = python.path if order.lock is None else f"/usr/bin/python{python.version}"
        interpreter = Interpreter(version=python.version, path=compiler, environment=MOUNT)
        env = {_LIBRARY_PATH: order.libraries} if order.libraries else {}
        _compile(tree.parent, work / "first", interpreter, layers, image, store, reporter, cancel, env)
        if order.lock is not None:
            own = msgspec.structs.replace(interpreter, environment=f"{MOUNT}/{PYTHON}")
            _compile(tree, work / "second", own, layers, image, store, reporter, cancel, env)
            _give_pip(tree)
        for program in INSIDE.glob("*.py"):
            (tree / program.name).write_bytes(program.read_bytes())
        reporter.phase("committing")
        title = f"kernel: ipykernel for Python {python.version}" + (", and that Python" if order.lock else "")
        return store.commit_layer(tree, created_by=title, plain_modes=order.lock is None)


def _compile(
    source: Path, staging: Path, interpreter: Interpreter, layers: tuple[Path, ...], image: Image, store: Store,
    reporter: Reporter, cancel: threading.Event, env: Mapping[str, str],
) -> None:  # fmt: skip
    """Byte code for what is in *source*. Where the layers with the interpreter are too few for it to run, in all."""

    def compile_in(stack: tuple[Path, ...], folder: str) -> None:
        (staging / folder).mkdir()
        compile_trees(
            source, staging=staging / folder, interpreter=interpreter, layers=stack, store=store.root,
            reporter=reporter, cancel=cancel, env=env,
        )  # fmt: skip

    whole = (layers[0], *image.layer_paths)
    try:
        compile_in(layers, "part")
    except BuildError:
        if len(whole) <= len(layers):
            raise
        compile_in(whole, "whole")


def _give_pip(tree: Path) -> None:
    """Where our interpreter finds pip: a subprocess (`%pip install`) knows nothing of the kernel's own packages."""
    packages = tree / PYTHON / "lib/python3/dist-packages"
    packages.mkdir(parents=True)
    library = tree / LIBRARY
    for path in [library / "pip", *library.glob("pip-*.dist-info")]:
        path.rename(packages / path.name)


def _digest(*files: Path) -> str:
    state = hashlib.sha256()
    for file in files:
        state.update(f"{file.name}\0".encode() + file.read_bytes())
    return state.hexdigest()


def _id(parts: list[str]) -> str:
    return hashlib.sha256(msgspec.json.encode(["kernel", *parts])).hexdigest()
