"""Environments in the launcher: the server's own classes, whatever they are, with ours in front."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_client.kernelspec import KernelSpecManager
from traitlets.config import Config

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

__all__ = ["add_environments", "combine"]


def combine(mixin: type, base: type) -> type:
    """*base* with *mixin* in front. Its configuration is still read: sections go by the names of all base classes."""
    if issubclass(base, mixin):
        return base
    return type(f"Container{base.__name__}", (mixin, base), {"__module__": __name__})


def add_environments(serverapp: ServerApp, *, lasting: bool = False) -> None:
    """Have *serverapp* find and start the kernels of environments; *lasting*: leave them alone at its end.

    Not with a gateway: its kernels run elsewhere.
    """
    from jupyter_server.gateway.gateway_client import GatewayClient

    if GatewayClient.instance(parent=serverapp).gateway_enabled:
        serverapp.log.info("jupyter_containers | a gateway runs the kernels: environments are not in the launcher")
        return
    from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
    from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
    from jupyter_server.services.sessions.sessionmanager import SessionManager

    from ..kernels.dynamic import ContainerKernelSpecMixin
    from .ending import BoundedEndMixin
    from .sessions import SessionsMixin
    from .sockets import ManySocketsMixin
    from .starting import PendingStartsMixin, ToldFailuresMixin

    # Through the configuration, for the next extension's settings make the server load all of it again.
    config = Config()
    specs = _given(serverapp, "kernel_spec_manager_class", KernelSpecManager)
    config.ServerApp.kernel_spec_manager_class = combine(ContainerKernelSpecMixin, specs)
    kernels = _given(serverapp, "kernel_manager_class", AsyncMappingKernelManager)
    if issubclass(kernels, AsyncMappingKernelManager):
        kernels = combine(BoundedEndMixin, combine(ManySocketsMixin, kernels))
        config.ServerApp.kernel_manager_class = kernels
    if issubclass(kernels, AsyncMappingKernelManager) and not _wants_pending(serverapp, kernels):
        kernels = combine(PendingStartsMixin, kernels)
        config.ServerApp.kernel_manager_class = kernels
    if issubclass(kernels, AsyncMappingKernelManager) and lasting:
        from .lasting import LastingKernelsMixin

        config.ServerApp.kernel_manager_class = combine(LastingKernelsMixin, kernels)
    sessions = _given(serverapp, "session_manager_class", SessionManager)
    if issubclass(sessions, SessionManager):
        config.ServerApp.session_manager_class = combine(SessionsMixin, sessions)
    connections = _given(serverapp, "kernel_websocket_connection_class", ZMQChannelsWebsocketConnection)
    if issubclass(connections, ZMQChannelsWebsocketConnection):
        config.ServerApp.kernel_websocket_connection_class = combine(ToldFailuresMixin, connections)
    serverapp.update_config(config)


def _given(serverapp: ServerApp, trait: str, otherwise: type) -> type:
    """The class that was configured. The trait's own default can't be asked for: it reads settings of the gateway
    that the server has not loaded at this point."""
    return getattr(serverapp, trait) if serverapp.trait_has_value(trait) else otherwise


def _wants_pending(serverapp: ServerApp, kernels: type) -> bool:
    """Whether the user has set ``use_pending_kernels``: then it is his to say, for all kernels."""
    sections: Any = (serverapp.config.get(kind.__name__, {}) for kind in kernels.__mro__)
    return any("use_pending_kernels" in section for section in sections)
