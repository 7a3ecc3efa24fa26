"""The ways in which a kernel is started, and what makes every kernel of an environment one of that kind."""

from __future__ import annotations

from typing import Any

KINDS: dict[str, dict[str, Any]] = {
    "fresh": {"warm": "off"},
    "fork": {"warm": "wait"},
    "pool": {"warm": "wait", "isolate": True},
}
