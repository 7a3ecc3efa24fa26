"""The settings of a kernel as traits: a kernelspec's ``config`` goes before the server's ``c.ContainerProvisioner``."""

from __future__ import annotations

from typing import Any

from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
from traitlets import Bool, Enum, Float, Integer, List, Unicode

from .options import KernelOptions, check_options

__all__ = ["KernelTraits"]


class KernelTraits(KernelProvisionerBase):
    """A provisioner's :class:`.options.KernelOptions`, field by field."""

    environment = Unicode("", config=True, help="Name of the environment to run.")
    spec_file = Unicode("", config=True, help="Path of a spec to run, in place of an environment's name.")
    image = Unicode("", config=True, help="Digest or reference of an image to run without a spec.")
    build = Enum(
        ["changed", "missing", "never"], "changed", config=True,
        help="When a start builds: where the spec has changed, only where there is no image, or never.",
    )  # fmt: skip
    memory = Unicode("", config=True, help="Memory limit with a unit, such as 2G; empty: the spec's.")
    cpus = Float(None, allow_none=True, config=True, help="Limit of CPUs; None: the spec's.")
    pids = Integer(None, allow_none=True, config=True, help="Limit of processes and threads; None: the spec's.")
    files = Integer(None, allow_none=True, config=True, help="Limit of open files of a process; None: the spec's.")
    time = Unicode("", config=True, help="How long a kernel may run, such as 2h; empty: the spec's.")
    network = Enum(["", "none", "full"], "", config=True, help="The container's network; empty: the spec's.")
    run_as = Unicode("", config=True, help="User in the container, a name or a number; empty: the image's.")
    entrypoint = Bool(False, config=True, help="Start the kernel through the image's Entrypoint.")
    mount_folder = Enum(["rw", "ro", "none"], "rw", config=True, help="How the notebook's folder is mounted.")
    mount_home = Bool(False, config=True, help="Mount the home folder too: a kernel can then do all that you can.")
    restart = Enum(["fresh", "keep"], "fresh", config=True, help="A restarted kernel's writable layer: empty, or kept.")
    autosave = Bool(False, config=True, help="Save a kernel's writable layer, as an image, when it is shut down.")
    restore = Bool(False, config=True, help="Begin a notebook's kernel with what its last one has saved.")
    warm = Enum(
        ["off", "on", "wait"], "off", config=True,
        help="Start kernels as forks of a process that is ready, or take ready ones from a pool where they can't be "
        "forks: off, on, or also waiting for the first to be ready.",
    )  # fmt: skip
    isolate = Bool(False, config=True, help="Of warm starts: from the pool only, for forks share what they come from.")
    pool = Integer(1, min=0, config=True, help="How many kernels of one kind wait in the pool; 0: none.")
    pass_env = List(Unicode(), config=True, help="Names (with * and ?) of variables to hand on to kernels.")
    accept_unenforced = List(Unicode(), config=True, help="Limits that may go unenforced where the host can't.")

    def __init__(self, **kwargs: Any) -> None:
        config = {key: value for key, value in kwargs.items() if key not in ("kernel_id", "kernel_spec", "parent")}
        # Before the traits: they take unknown keys without a word, and a misspelt limit is then no limit.
        check_options(config, source=_source(kwargs.get("kernel_spec")), partial=True)
        super().__init__(**kwargs)

    @property
    def options(self) -> KernelOptions:
        """The traits as one value. :class:`InputError` names the kernelspec and each bad value."""
        values = {name: getattr(self, name) for name in KernelOptions.__struct_fields__}
        return check_options(values, source=_source(self.kernel_spec))


def _source(kernel_spec: Any) -> str:
    return f"kernelspec {kernel_spec.display_name!r}" if kernel_spec is not None else "the kernel provisioner"
