"""Inside a fork server: an IPython shell that is made before the fork, and becomes that of the kernel after it.

A kernel takes a third of its start, and of the memory that it does not share with others, for its shell. The shell is
made with the configuration that kernels are known to get; a kernel that has another (arguments of its client, files in
a mounted home) makes its own, as does one of an ipykernel or IPython that this does not fit: :func:`try_out` finds that
out in a child first.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["Shell", "make_shell", "try_out"]

_ARGUMENTS = ("--HistoryManager.hist_file=:memory:",)
"""What the shell's own configuration depends on of a kernel's arguments (``NO_HISTORY_FILE`` in :mod:`.launch`)."""
_KNOWN = frozenset({"parent", "profile_dir", "user_module", "user_ns", "kernel", "compiler_class"})
"""What a kernel asks for a shell with (``IPythonKernel.__init__``)."""


class Shell:
    """A shell without a kernel. In a fork :meth:`offer` it to the kernel that is going to be made."""

    def __init__(self, shell: Any, compiler: type) -> None:
        self._shell, self._compiler = shell, compiler
        self._config = _read_by_shells(shell.config)

    def offer(self) -> None:
        """The next kernel that asks for a shell gets this one, if it is as that would have made it."""
        cls = type(self._shell)

        def instance(**wanted: Any) -> Any:
            del cls.instance  # the class's own again
            if self._fits(wanted):
                self._join(wanted)
            else:
                atexit.unregister(self._shell.atexit_operations)
                cls.clear_instance()
            return cls.instance(**wanted)

        cls.instance = staticmethod(instance)

    def _fits(self, wanted: dict[str, Any]) -> bool:
        return (
            set(wanted) == _KNOWN
            and wanted["user_module"] is None
            and wanted["user_ns"] is None
            and wanted["compiler_class"] is self._compiler
            and bool(_read_by_shells(wanted["parent"].config) == self._config)
        )

    def _join(self, wanted: dict[str, Any]) -> None:
        """Be as a shell that is made now, by this kernel."""
        shell, kernel = self._shell, wanted["kernel"]
        shell.parent = wanted["parent"]
        shell.kernel = kernel
        shell.profile_dir = wanted["profile_dir"]
        for each in shell.configurables:
            if each.has_trait("log"):
                each.log = kernel.log
            # One object for all, of the same content: that is no change, which would have all traits set anew.
            each._trait_values["config"] = kernel.config
        shell.starting_dir = os.getcwd()  # noqa: PTH109
        shell.history_manager.dir_hist[:] = [Path.cwd()]
        shell.init_environment()
        shell.save_sys_module_state()
        shell.sys_excepthook = sys.excepthook
        atexit.unregister(shell.atexit_operations)  # the last that is registered is the first that is called
        atexit.register(shell.atexit_operations)


def make_shell() -> Shell:
    """In a process that has no kernel; its ``__main__`` is the shell's from here on."""
    application: Any = import_module("IPython.core.application")
    log: Any = import_module("traitlets.log")
    kernelapp = import_module("ipykernel.kernelapp")
    ipkernel = import_module("ipykernel.ipkernel")
    app = kernelapp.IPKernelApp()
    hook = sys.excepthook
    try:
        application.BaseIPythonApplication.initialize(app, list(_ARGUMENTS))
    finally:
        sys.excepthook = hook
    if app.kernel_class is not ipkernel.IPythonKernel:
        raise TypeError(f"kernels are to be {app.kernel_class}")
    logger = getattr(log, "_logger", None)
    compiler = ipkernel.IPythonKernel.compiler_class.default_value
    cls = ipkernel.IPythonKernel.shell_class.default_value
    if isinstance(compiler, str) or isinstance(cls, str):
        raise TypeError("a kernel's classes are told by name")
    try:
        shell = cls.instance(config=app.config, profile_dir=app.profile_dir, compiler_class=compiler)
    finally:
        log._logger = logger  # that of the first application that is there, from then on
    return Shell(shell, compiler)


def try_out(play: Callable[[], None]) -> None:
    """Make a shell and *play* a kernel with it, in a child that ends afterwards; raises TypeError where the kernel has
    another one, or the making has left a thread."""
    shell = make_shell()
    if len(os.listdir("/proc/self/task")) > 1:
        raise TypeError("a shell starts threads")
    shell.offer()
    play()
    kernel = import_module("ipykernel.ipkernel").IPythonKernel.instance()
    if kernel.shell is not shell._shell or kernel.shell.kernel is not kernel:
        raise TypeError("a kernel makes a shell of its own")


def _read_by_shells(config: Any) -> dict[str, Any]:
    """*config* without what only the kernel's application reads (its files, and whether it says more), and without the
    empty sections that come of looking for something."""
    return {name: deepcopy(section) for name, section in config.items() if section and name != "IPKernelApp"}
