"""What a kernel has written is there for the notebook's next kernel, and for no other."""

from __future__ import annotations

import pytest

from jupyter_containers.image.store import Store
from jupyter_containers.kernels.saving import find_saved, saved_name

pytestmark = [pytest.mark.network, pytest.mark.slow]


@pytest.fixture
def notebook(user, environment, monkeypatch, tmp_path):
    path = str(tmp_path / "saved.ipynb")
    monkeypatch.setenv("JPY_SESSION_NAME", path)
    yield path
    store = Store(user.store)
    for each in (path, path + "other"):
        if find_saved(store, environment, each, "").note:
            store.untag(saved_name(environment, each))  # a process to fork from may have it leased


def has(session, path: str) -> bool:
    return session.run(f"import os; print(os.path.exists(os.path.expanduser({path!r})))") == "True"


def test_saved_and_restored(start, notebook, environment, user, monkeypatch):
    session = start(autosave=True, restore=True)
    base = session.container.config.image
    session.run("import os; open(os.path.expanduser('~/one'), 'w').write('1')")
    session.manager.restart_kernel(now=True)
    session.client.wait_for_ready(timeout=60)
    assert not has(session, "~/one")
    session.run("open(os.path.expanduser('~/one'), 'w').write('1')")
    session.close()

    again = start(autosave=True, restore=True)
    assert has(again, "~/one")
    assert again.container.config.image != base
    again.run("open(os.path.expanduser('~/two'), 'w').write('2'); os.remove(os.path.expanduser('~/one'))")
    again.close()

    third = start(restore=True)
    assert (has(third, "~/one"), has(third, "~/two")) == (False, True)
    third.close()
    store = Store(user.store)
    assert find_saved(store, environment, notebook, "sha256:other").image is None
    assert "not restored" in find_saved(store, environment, notebook, "sha256:other").note

    monkeypatch.setenv("JPY_SESSION_NAME", notebook + "other")
    other = start(autosave=True, restore=True)
    assert not has(other, "~/two")
    other.close()


def test_without_the_setting_nothing_is_kept(start, notebook, environment, user):
    session = start()
    session.run("import os; open(os.path.expanduser('~/one'), 'w').write('1')")
    session.close()
    assert find_saved(Store(user.store), environment, notebook, "").note == ""
