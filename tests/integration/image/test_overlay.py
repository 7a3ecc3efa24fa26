"""Layers made and shown by the kernel's own overlayfs, in a user namespace: what is committed is what was done."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.image.check import verify
from jupyter_containers.image.inside import exists_in_root, read_text_in_root
from jupyter_containers.image.layout import load, save
from jupyter_containers.image.model import ImageConfig, Layer
from jupyter_containers.image.store import Store
from jupyter_containers.image.tree import remove_tree

LISTING = "cd /mnt && find . -mindepth 1 ! -type d -printf '%P %y %m %s %l\\n' | sort;find . -mindepth 1 -type d | sort"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    yield Store(tmp_path / "s")
    remove_tree(tmp_path / "s")


def in_overlay(script: str, layers: list[Layer], *, upper: Path | None = None, work: Path | None = None) -> str:
    """Run a shell script with the layers mounted at /mnt, as an unprivileged user would."""
    lower = ":".join(str(layer.path) for layer in reversed(layers))
    options = f"userxattr,lowerdir={lower}"
    if upper is not None:
        options += f",upperdir={upper},workdir={work}"
    # A tmpfs first: /mnt itself may lie on an overlay, or not be there to be written.
    mount = f"mount -t tmpfs none /mnt; mount -t overlay none /mnt -o {options}"
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", f"{mount}\n{script}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unshare failed" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no overlay in a user namespace here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_deletions_replacements_and_moves_come_through(store: Store, tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare(1)")
    with store.staging() as staging:
        for name in ("etc/a", "etc/b", "opt/old/x", "opt/old/y", "var/log/l", "usr/keep"):
            path = staging.fs / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        base = store.commit_layer(staging.fs, created_by="base")
    script = (
        "rm /mnt/etc/a; rm -r /mnt/opt/old; mkdir /mnt/opt/old; echo new > /mnt/opt/old/z; rm -r /mnt/var/log;"
        "echo more >> /mnt/etc/b; cp /mnt/usr/keep /mnt/usr/copy; ln /mnt/usr/copy /mnt/usr/link;"
        "chmod 700 /mnt/usr; ln -s ../etc/b /mnt/usr/s; mkfifo /mnt/p; rm -r /mnt/opt; mkdir -p /mnt/opt/older;"
    )
    with store.staging() as staging:
        shown = in_overlay(script + LISTING, [base], upper=staging.upper, work=staging.work)
        top = store.commit_layer(staging.upper, created_by="top")
    assert in_overlay(LISTING, [base, top]) == shown
    assert "etc/a" not in shown
    assert verify(store) == ()
    paths = [base.path, top.path]
    assert read_text_in_root(paths, "/usr/s") == "etc/bmore\n"
    for name in ("/etc/a", "/opt/old", "/var/log/l"):
        assert not exists_in_root(paths, name)

    # The same through a file, into another store.
    image = store.put_image(ImageConfig(architecture="amd64"), [base, top])
    save(store, image, tmp_path / "image.tar")
    other = Store(tmp_path / "o")
    try:
        loaded = load(other, tmp_path / "image.tar")
        assert loaded.digest == image.digest
        assert in_overlay(LISTING, list(loaded.layers)) == shown
    finally:
        remove_tree(other.root)


def test_what_work_leaves_is_removed(store: Store) -> None:
    with store.staging() as staging:
        (staging.fs / "f").write_text("x")
        base = store.commit_layer(staging.fs, created_by="base")
    with store.staging() as staging:
        in_overlay("rm /mnt/f", [base], upper=staging.upper, work=staging.work)
        assert "work" in os.listdir(staging.work)
    assert os.listdir(store.root / "tmp") == []
