"""``%container`` in an IPython of this host: it asks over a comm, and changes nothing by itself."""

from __future__ import annotations

import comm
import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from jupyter_containers.kernels.connection import ConnectionFolder


class Comm(comm.base_comm.BaseComm):
    sent: list = []  # noqa: RUF012

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
        self.sent.append((msg_type, data, keys.get("target_name")))


@pytest.fixture
def shell(tmp_path, paths, monkeypatch):
    Comm.sent = []
    monkeypatch.setattr(comm, "create_comm", Comm)
    connection = ConnectionFolder(tmp_path)
    connection.write_magic("analysis")
    made = InteractiveShell()
    made.user_ns["get_ipython"] = lambda: made
    made.safe_execfile(str(connection.magic), made.user_ns, raise_exceptions=True)
    yield made
    made.history_manager.end_session()


def test_it_asks(shell, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: shown.append(data))
    shell.run_line_magic("container", "add polars 'altair>=5'")
    assert Comm.sent == [
        ("comm_open", {"version": 1, "action": "add", "packages": ["polars", "altair>=5"]}, "jupyter-containers")
    ]
    assert "jupyter containers add analysis polars 'altair>=5'" in shown[0]["text/plain"]


@pytest.mark.parametrize("line", ["", "add", "remove polars"])
def test_anything_else_is_told_as_such(shell, line):
    with pytest.raises(UsageError):
        shell.run_line_magic("container", line)
    assert Comm.sent == []


def test_nothing_is_left_in_the_user_s_names(shell):
    assert {"load", "ENVIRONMENT", "TARGET", "Any", "annotations"} & set(shell.user_ns) == set()
