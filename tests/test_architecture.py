"""The rules of the house that a program can check. docs/architecture.md tells why they are."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "jupyter_containers"
MODULES = sorted(PACKAGE.rglob("*.py"))
TREES = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_bytes()) for path in MODULES}

LONGEST = 500
"""Lines of a module; most have 80 to 250."""

FORBIDDEN = re.compile(r"(manager|helper|util)s?$", re.IGNORECASE)
"""Names that say nothing about what a thing does."""

EDGE = ("kernels/", "server/", "cli/", "paths.py", "__main__.py")
"""Where Jupyter is known."""

ONE_OWNER = {
    "httpx": ("lock/transport.py", "image/transport.py"),
    "jupyter_client": EDGE, "jupyter_core": EDGE, "jupyter_server": EDGE, "jupyter_events": EDGE, "traitlets": EDGE,
    "tornado": EDGE, "nbclient": EDGE, "nbformat": (*EDGE, "spec/"),
    "prometheus_client": ("server/metrics.py",),
    "rich": ("cli/",),
    "argparse": ("cli/",),
}  # fmt: skip
"""Libraries that one place of the package knows."""

HEAVY = (
    "asyncio", "debian", "httpx", "jupyter_client", "jupyter_core", "jupyter_server", "nbclient", "nbformat",
    "packaging", "prometheus_client", "psutil", "pysequoia", "rich", "tomlkit", "tornado", "traitlets", "yaml",
    "zstandard",
)  # fmt: skip


def test_import_contracts():
    """pyproject.toml, [tool.importlinter]: data goes one way, siblings don't know each other."""
    # In a process of its own: it configures logging, and every logger that is there is disabled.
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_two_modules_need_each_other():
    """Also within a room, and whether the import comes early, late, or for types only."""
    needs = {name: set(_own_modules(name, tree)) - {name, "__init__.py"} for name, tree in TREES.items()}
    TopologicalSorter(needs).prepare()  # CycleError names the circle


@pytest.mark.parametrize("name", TREES)
def test_module_is_short_and_says_what_it_is(name):
    text = (PACKAGE / name).read_text()
    assert text.count("\n") <= LONGEST, f"{name}: more than {LONGEST} lines: it is two modules"
    if TREES[name].body:
        assert ast.get_docstring(TREES[name]) or name == "_version.py", f"{name}: no docstring"


def test_names_say_something():
    bad = [f"{name}: {Path(name).stem}" for name in TREES if FORBIDDEN.search(Path(name).stem)]
    for name, node in _nodes(ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef):
        if FORBIDDEN.search(node.name):
            bad.append(f"{name}:{node.lineno}: {node.name}")
    assert bad == []


def test_only_the_command_line_prints_and_exits():
    bad = []
    for name, node in _nodes(ast.Call):
        called = ast.unparse(node.func)
        exempt = name.startswith("cli/") or _is_program(TREES[name])
        if called in {"print", "sys.exit", "exit", "quit"} and not exempt:
            bad.append(f"{name}:{node.lineno}: {called}")
    assert bad == []


def test_libraries_have_one_owner():
    bad = []
    for name, node in _nodes(ast.Import, ast.ImportFrom):
        for module in _imported(node):
            places = ONE_OWNER.get(module.partition(".")[0])
            if places is not None and not name.startswith(places):
                bad.append(f"{name}:{node.lineno}: {module}")
    assert bad == []


def test_every_request_is_authenticated_and_authorized():
    found = 0
    for name, node in _nodes(ast.ClassDef):
        if not name.startswith("server/handlers/"):
            continue
        for method in node.body:
            if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and method.name in {
                "get", "head", "post", "put", "patch", "delete", "open", "on_message",
            }:  # fmt: skip
                found += 1
                decorators = [ast.unparse(item) for item in method.decorator_list]
                assert decorators == ["web.authenticated", "authorized"], f"{name}:{method.lineno}: {node.name}"
                assert isinstance(method, ast.AsyncFunctionDef), f"{name}:{method.lineno}: {node.name}"
    assert found >= 15


def test_handlers_reach_the_environments_by_a_thread_only():
    """``service.environments`` blocks: it is named in functions that a thread runs."""
    for name, node in _nodes(ast.AsyncFunctionDef):
        if not name.startswith("server/"):
            continue
        threads = {id(inner) for part in ast.walk(node) if isinstance(part, ast.Lambda) for inner in ast.walk(part)}
        for inner in ast.walk(node):
            if isinstance(inner, ast.Attribute) and inner.attr == "environments" and id(inner) not in threads:
                called = [part for part in ast.walk(node) if isinstance(part, ast.Attribute) and part.value is inner]
                # Handing on a method, `call(self.environments.close)`, is no call.
                assert called and not any(
                    isinstance(part, ast.Call) and part.func in called for part in ast.walk(node)
                ), f"{name}:{inner.lineno}"


def test_tar_archives_are_never_extracted_by_the_standard_library():
    """Rule of defence 1: members are unpacked beneath an open directory, by our own reader."""
    bad = [
        f"{name}:{node.lineno}"
        for name, node in _nodes(ast.Call)
        if isinstance(node.func, ast.Attribute) and node.func.attr in {"extractall", "unpack_archive"}
    ]
    assert bad == []


def test_no_shell():
    bad = []
    for name, node in _nodes(ast.Call):
        called = ast.unparse(node.func)
        if called in {"os.system", "os.popen"} or any(
            item.arg == "shell" and not (isinstance(item.value, ast.Constant) and item.value.value is False)
            for item in node.keywords
        ):
            bad.append(f"{name}:{node.lineno}: {called}")
    assert bad == []


@pytest.mark.parametrize(
    ("module", "loaded_before"),
    [
        ("jupyter_containers", "sys"),
        ("jupyter_containers.cli.app", "sys"),
        ("jupyter_containers.sandbox.process", "sys"),
        ("jupyter_containers.environments", "sys"),
        ("jupyter_containers.server.app", "jupyter_server.serverapp"),
    ],
)
def test_start_is_quick(module, loaded_before):
    """What is not needed to start is imported late."""
    code = f"import sys, {loaded_before}; a = set(sys.modules); import {module}; print(*set(sys.modules) - a)"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COV_")}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert set(result.stdout.split()) & set(HEAVY) == set()


def _nodes(*kinds: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, kinds):
                yield name, node


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if node.module and node.level == 0 else []


def _own_modules(name: str, tree: ast.Module) -> Iterator[str]:
    """The modules of the package that the module *name* imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = Path(name).parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for alias in node.names:
                path = next(
                    path
                    for path in (base / f"{alias.name}.py", Path(f"{base}.py"), base / "__init__.py")
                    if path.as_posix() in TREES
                )
                yield path.as_posix()


def _is_program(tree: ast.Module) -> bool:
    """Whether the module is started as a process of its own: it ends with ``if __name__ == "__main__"``."""
    return any(isinstance(item, ast.If) and "__main__" in ast.unparse(item.test) for item in tree.body)
