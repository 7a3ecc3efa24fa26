"""What a container's IPython runs at its start: the magic ``%container``. Only the image's Python runs this.

A kernel is not trusted, so it can't add a package to its environment: it can ask. The front end shows the question to
its user, and it is the front end, with the user's rights, that has the server add the package. What goes on is sent
back and shown below the cell.
"""

from __future__ import annotations

from typing import Any

__all__ = ["load"]

ENVIRONMENT = "@ENVIRONMENT@"
TARGET = "jupyter-containers"


def load(shell: Any) -> None:
    """Make the magic known to the IPython *shell*."""
    asked: list[Any] = []  # a comm that nobody holds is closed
    environment, target = ENVIRONMENT, TARGET  # the module's own names go, see below

    def container(line: str) -> None:
        """%container add PACKAGE ...: ask to add packages to this notebook's environment."""
        import shlex

        from IPython import display as ipython
        from IPython.core.error import UsageError

        display: Any = ipython.display
        words = shlex.split(line)
        if len(words) < 2 or words[0] != "add":
            raise UsageError("%container add PACKAGE …")
        packages = words[1:]
        by_hand = f"on the host: jupyter containers add {environment} {' '.join(map(shlex.quote, packages))}"
        text = f"Asked for {', '.join(packages)}. Say yes in JupyterLab, or {by_hand}"
        shown: Any = display({"text/plain": text}, raw=True, display_id=True)

        def show(message: Any) -> None:
            told = message["content"].get("data", {}).get("text")
            if told:
                shown.update({"text/plain": str(told)}, raw=True)

        def close(message: Any) -> None:
            if not message["content"].get("data", {}).get("done"):
                shown.update({"text/plain": f"Nobody here can be asked. Do it {by_hand}"}, raw=True)

        try:
            from comm import create_comm
        except ImportError:  # ipykernel before 6.18
            from ipykernel.comm import Comm as create_comm
        comm = create_comm(target_name=target, data={"version": 1, "action": "add", "packages": packages})
        comm.on_msg(show)
        comm.on_close(close)
        asked.append(comm)

    shell.register_magic_function(container, "line", "container")


if "get_ipython" in globals():  # run by IPython, among the names of the user
    load(globals()["get_ipython"]())
    for _name in ("load", "ENVIRONMENT", "TARGET", "Any", "annotations", "_name"):
        globals().pop(_name, None)
