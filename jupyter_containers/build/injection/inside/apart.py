"""Two versions of one package in one process: the image's for cells, the injected one for the kernel.

An image may have a tornado of 2018. ipykernel can't run on it, and putting the injected tornado before it would change
what the image's own programs import. So each side gets its own:

1. The kernel's packages are imported with nothing of the image's on the path. Their loader gives each module builtins
   of its own, a copy in which only ``__import__`` differs. (A function finds its builtins through the ``__builtins__``
   of its module, so nobody else is touched or slowed down.)
2. Before the shell begins, modules that the image has as well are taken out of ``sys.modules``, and the image's path
   is put back. From there on a cell's ``import tornado`` finds the image's; one in the kernel's modules, however late,
   goes through their own ``__import__`` to what was taken out.

Some packages are those through which cells and the kernel talk (:data:`SHARED`): of these there is one, the kernel's.
"""

from __future__ import annotations

import builtins
import sys
import threading
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import module_from_spec
from types import ModuleType
from typing import Any

SHARED = frozenset({"IPython", "comm", "debugpy", "ipykernel", "ipykernel_launcher", "matplotlib_inline", "traitlets"})
"""``get_ipython()``, ``display``, widgets and magics of the image's packages, and the debugger, work on the kernel's
objects: a class with a second version's traits would be none to it."""

EAGER = (
    "ipykernel.ipkernel", "ipykernel.zmqshell", "ipykernel.debugger", "IPython.core.completer",
    "tornado.platform.asyncio", "zmq.eventloop.zmqstream", "jedi",
)  # fmt: skip
"""Imported while all is still in one place; what comes later works too, and is the harder case."""


def find_conflicts(present: dict[str, str], names: dict[str, tuple[str, str]], library: str) -> list[str]:
    """Why the image's packages in *present* (import name → folder) can't serve the kernel; empty where they can.

    *names*: import name → (distribution, versions that will do).
    """
    sys.path.insert(0, library)
    before = set(sys.modules)
    try:
        from importlib.metadata import distributions

        from packaging.specifiers import SpecifierSet

        reasons = {}
        for module, folder in present.items():
            distribution, versions = names[module]
            found = [item.version for item in distributions(name=distribution, path=[folder])]
            if not found:
                reasons[distribution] = f"{folder}/{module} does not say which version of {distribution} it is"
            elif versions and not SpecifierSet(versions).contains(found[0], prereleases=True):
                reasons[distribution] = f"the image has {distribution} {found[0]}, and ipykernel needs {versions}"
    finally:
        del sys.path[0]
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "packaging":
                del sys.modules[name]  # a cell's is the image's, if it has one
    return [reasons[name] for name in sorted(reasons)]


class Apart:
    """The kernel's own modules."""

    def __init__(self, names: frozenset[str], library: str) -> None:
        """*names*: what the image has as well."""
        self.library = library
        self.tops = names - SHARED
        """Import names of which there are two."""
        self.modules: dict[str, ModuleType] = {}
        """The kernel's, once taken out of ``sys.modules``."""
        self._own = {"__import__": self.import_, "exec": _execute, "eval": _evaluate}
        self.builtins: dict[str, Any] = {**vars(builtins), **self._own}
        self.done = False
        self._lock = threading.RLock()
        self._path: list[str] = []
        self._set_aside: dict[str, ModuleType] = {}

    def begin(self) -> None:
        """From now on the kernel's packages are found, and nothing of the image's but the standard library."""
        # A .pth file of the image may have imported some at the interpreter's start.
        for name in [name for name in sys.modules if name.partition(".")[0] in self.tops | SHARED]:
            self._set_aside[name] = sys.modules.pop(name)
        self._path = list(sys.path)
        standard = threading.__file__.rpartition("/")[0]
        own = [folder for folder in sys.path if folder == standard or folder.endswith((".zip", "/lib-dynload"))]
        sys.path[:] = [self.library, *own]
        sys.meta_path.insert(0, self)  # type: ignore[arg-type, unused-ignore]

    def hand_over(self) -> None:
        """The image's packages are found again; the kernel keeps its own."""
        added = [folder for folder in sys.path if folder != self.library and folder not in self._path]
        for name in [name for name in sys.modules if name.partition(".")[0] in self.tops]:
            self.modules[name] = sys.modules.pop(name)
        for name, module in self._set_aside.items():
            if name.partition(".")[0] in self.tops:
                sys.modules[name] = module
        sys.path[:] = [*added, *self._path, self.library]
        self.done = True

    def refresh(self) -> None:
        """Builtins that were replaced since (``input`` asks the notebook's user) are replaced in the kernel's, too."""
        self.builtins.update({**vars(builtins), **self._own})

    # The path finder of the kernel's modules (importlib.abc.MetaPathFinder, without the import of importlib.abc)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if path is None and self.done:
            return None
        folders = [self.library] if path is None else list(path)
        if not any(str(folder).startswith(self.library) for folder in folders):
            return None
        spec = PathFinder.find_spec(name, folders)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, str(spec.loader.path), self.builtins)
        return spec

    # Their __import__

    def import_(self, name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        """As :func:`__import__`, for code of the kernel's modules."""
        whole = name if level == 0 else _absolute(name, globals or {}, level)
        if not self.done or whole.partition(".")[0] not in self.tops:
            return builtins.__import__(name, globals, locals, fromlist, level)
        with self._lock:
            module = self._load(whole)
            if not fromlist:
                return module if level else self.modules[whole.partition(".")[0]]
            wanted = getattr(module, "__all__", ()) if "*" in fromlist else fromlist
            for item in wanted if hasattr(module, "__path__") else ():
                if not hasattr(module, item):
                    try:
                        self._load(f"{whole}.{item}")
                    except ModuleNotFoundError as error:
                        if error.name != f"{whole}.{item}":
                            raise
        return module

    def _load(self, name: str) -> ModuleType:
        module = self.modules.get(name)
        if module is not None:
            return module
        parent, _, last = name.rpartition(".")
        package = self._load(parent) if parent else None
        if name in self.modules:  # the parent's import has brought it
            return self.modules[name]
        path = [self.library] if package is None else list(getattr(package, "__path__", ()))
        spec = PathFinder.find_spec(name, path)
        if spec is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, str(spec.loader.path), self.builtins)
        module = self.modules[name] = module_from_spec(spec)
        try:
            if spec.loader is not None:  # a namespace package has none to run
                spec.loader.exec_module(module)
        except BaseException:
            self.modules.pop(name, None)
            raise
        if package is not None:
            setattr(package, last, module)
        return module


class _Loader(SourceFileLoader):
    """Runs a module with the kernel's builtins."""

    def __init__(self, name: str, path: str, own: dict[str, Any]) -> None:
        super().__init__(name, path)
        self._own = own

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self._own
        super().exec_module(module)


# `exec` gives a namespace without builtins those of its caller. Called in the kernel's modules (`%run` does), it would
# hand the kernel's own on to a program of the user's.


def _execute(source: Any, globals: Any = None, locals: Any = None, /, **options: Any) -> None:
    builtins.exec(source, *_namespaces(globals, locals), **options)  # noqa: S102  as the one that it stands for


def _evaluate(source: Any, globals: Any = None, locals: Any = None, /) -> Any:
    return builtins.eval(source, *_namespaces(globals, locals))  # noqa: S307  what IPython evaluates is the user's


def _namespaces(globals: Any, locals: Any) -> tuple[Any, Any]:
    if globals is None:
        frame = sys._getframe(2)
        return frame.f_globals, frame.f_locals if locals is None else locals
    globals.setdefault("__builtins__", builtins)
    return globals, globals if locals is None else locals


def _absolute(name: str, globals: dict[str, Any], level: int) -> str:
    """The absolute name of a relative import (PEP 328)."""
    package = globals.get("__package__") or ""
    if not package:
        package = globals["__name__"] if "__path__" in globals else globals["__name__"].rpartition(".")[0]
    base = package.rsplit(".", level - 1)[0] if level > 1 else package
    return f"{base}.{name}" if name else str(base)


def launch(names: frozenset[str], library: str) -> None:
    """Run ipykernel with the packages *names* apart from the image's; returns when the kernel ends."""
    apart = Apart(names, library)
    apart.begin()
    from importlib import import_module

    for name in EAGER:
        import_module(name)
    from ipykernel.kernelapp import IPKernelApp  # type: ignore[import-not-found, unused-ignore]

    class KernelApp(IPKernelApp):  # type: ignore[misc, unused-ignore]
        def init_path(self) -> None:
            # What comes after this is the shell, and with it extensions and start-up files of the image's user.
            apart.hand_over()
            super().init_path()  # type: ignore[no-untyped-call, unused-ignore]

        def init_shell(self) -> None:
            super().init_shell()  # type: ignore[no-untyped-call, unused-ignore]
            if self.shell is not None:
                self.shell.events.register("pre_execute", apart.refresh)

    KernelApp.launch_instance()
