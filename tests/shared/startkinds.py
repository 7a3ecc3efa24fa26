"""The ways in which a kernel is started: what makes all kernels of an environment one kind, and how to tell."""

from __future__ import annotations

from typing import Any

from jupyter_client.manager import KernelManager

KINDS: dict[str, dict[str, Any]] = {
    "fresh": {"warm": "off"},
    "fork": {"warm": "wait"},
    "pool": {"warm": "wait", "isolate": True},
}


def run(manager: KernelManager, code: str) -> str:
    """What *code* prints; AssertionError where it fails."""
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    texts: list[str] = []
    reply = client.execute_interactive(
        code, timeout=60, output_hook=lambda message: texts.append(message["content"].get("text", ""))
    )
    client.stop_channels()
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(texts).strip()


def how(manager: KernelManager) -> str:
    """`fork`, or `pool: ` or `fresh: ` and why; empty: no warm start was asked for."""
    return str(manager.provisioner.container.state().start)
