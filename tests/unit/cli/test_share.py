"""``open`` asks on a terminal, and only there."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.bundles import Bundles, Opened
from jupyter_containers.cli.share import Open

WANTED = ("network: all", "folder: ~/\x1b[2Jx")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., bool]:
    """Run ``open`` on a file whose spec takes things of the host; whether the user is taken to have agreed."""
    monkeypatch.setenv("JUPYTER_CONTAINERS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("JUPYTER_CONTAINERS_RUNTIME_DIR", str(tmp_path / "run"))

    def run(answer: str | None, *options: str) -> bool:
        agreed: list[bool] = []

        def take(self: Bundles, path: Path, *, trust: Callable[..., bool], **options: Any) -> Opened:
            agreed.append(trust("thesis", WANTED))
            return Opened("thesis", f"sha256:{'0' * 64}", tmp_path)

        monkeypatch.setattr(Bundles, "open", take)
        if answer is not None:
            monkeypatch.setattr("sys.stdin", Terminal(answer))
            monkeypatch.setattr("sys.stderr", Terminal())
        command = Open()
        assert command.run(command.parser().parse_args(["x.jcz", *options])) == 0
        return agreed == [True]

    return run


@pytest.mark.parametrize(
    ("answer", "agrees"), [("y\n", True), ("Yes\n", True), ("n\n", False), ("\n", False), ("", False), (None, False)]
)
def test_only_a_yes_is_a_yes(opened: Callable[..., bool], answer: str | None, agrees: bool) -> None:
    assert opened(answer) is agrees


def test_trust_agrees_without_a_question(opened: Callable[..., bool]) -> None:
    assert opened(None, "--trust")


def test_what_is_shown_cannot_drive_the_terminal(
    opened: Callable[..., bool], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    opened("n\n")
    shown = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "network: all" in shown
    assert "\x1b" not in shown
