"""Environments in the launcher: the server's kernel spec manager, whatever its class is, with ours in front."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_client.kernelspec import KernelSpecManager
from traitlets.config import Config

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

__all__ = ["add_environments", "combine"]


def combine(base: type[KernelSpecManager]) -> type[KernelSpecManager]:
    """*base* that finds the environments as well. Its configuration is still read: sections go by base class."""
    from ..kernels.kernelspec import ContainerKernelSpecMixin

    if issubclass(base, ContainerKernelSpecMixin):
        return base
    return type(f"Container{base.__name__}", (ContainerKernelSpecMixin, base), {"__module__": __name__})


def add_environments(serverapp: ServerApp) -> None:
    """Have *serverapp* make a combined kernel spec manager. Not with a gateway: its kernels run elsewhere."""
    from jupyter_server.gateway.gateway_client import GatewayClient

    if GatewayClient.instance(parent=serverapp).gateway_enabled:
        serverapp.log.info("jupyter_containers | a gateway runs the kernels: environments are not in the launcher")
        return
    # The trait's default asks for the gateway's settings, which the server has not read yet at this point.
    given = serverapp.trait_has_value("kernel_spec_manager_class")
    base = serverapp.kernel_spec_manager_class if given else KernelSpecManager
    # Through the configuration, for the next extension's settings make the server load all of it again.
    config = Config()
    config.ServerApp.kernel_spec_manager_class = combine(base)
    serverapp.update_config(config)
