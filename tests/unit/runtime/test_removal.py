from __future__ import annotations

from jupyter_containers.runtime.removal import settle_container


def test_what_its_owner_has_removed_leaves_nothing_to_do(tmp_path):
    """The reaper comes last, maybe after the whole home is gone, and makes no store anew."""
    settle_container(tmp_path / "home" / "containers" / "0123456789ab", "its owner was killed")
    assert list(tmp_path.iterdir()) == []
