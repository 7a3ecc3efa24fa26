"""``to-devcontainer``: a devcontainer.json for editors that know them, beside the Dockerfile of :mod:`.dockerfile`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...spec.model import LoadedSpec
from .. import rootfs

__all__ = ["EXTENSIONS", "dump_devcontainer"]

EXTENSIONS = ("ms-python.python", "ms-toolsai.jupyter")
"""Of an editor that shows notebooks: without them it has no kernels."""


def dump_devcontainer(loaded: LoadedSpec, *, args: Mapping[str, str], dockerfile: str = "Dockerfile") -> str:
    """The file's text. Limits and a network that is closed are not in it: an editor's containers have neither."""
    spec = loaded.spec
    build: dict[str, Any] = {"dockerfile": dockerfile, "context": "."}
    if args:
        build["args"] = dict(args)
    document: dict[str, Any] = {"name": spec.display_name or spec.name, "build": build}
    document["remoteUser"] = str(rootfs.USER_ID)
    if spec.kernel.env:
        document["remoteEnv"] = dict(spec.kernel.env)
    mounts = []
    for mount in spec.mounts:
        source = mount.source
        if source == "~" or source.startswith("~/"):
            source = "${localEnv:HOME}" + source[1:]
        elif not source.startswith("/"):
            source = "${localWorkspaceFolder}/" + source
        read_only = ",readonly" if mount.mode == "ro" else ""
        mounts.append(f"source={source},target={mount.target},type=bind{read_only}")
    if mounts:
        document["mounts"] = mounts
    document["customizations"] = {"vscode": {"extensions": list(EXTENSIONS)}}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
