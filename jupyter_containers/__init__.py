"""Notebook kernels in containers built from declarative specs: no root, no daemon."""

from __future__ import annotations

from ._version import __version__

TYPE_CHECKING = False  # typing is a slow import, and every start of a sandbox as root pays for this module
if TYPE_CHECKING:
    from typing import Any

__all__ = ["__version__"]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Called by jupyter_server when the extension is enabled."""
    from .server.app import ContainersExtension  # late: `import jupyter_containers` stays quick

    return [{"module": "jupyter_containers.server.app", "app": ContainersExtension}]
