"""What runs in the container, run here: under this Python, with packages made for the purpose."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_containers.build.injection.places import INSIDE

KERNELAPP = """\
import json, sys
import tornado
from traitlets import VALUE

class IPKernelApp:
    shell = None
    @classmethod
    def launch_instance(cls):
        app = cls()
        app.init_path()
        app.init_shell()
        exec(compile(open(CELL).read(), "<cell>", "exec"), {"__name__": "__main__", "app": app})
    def init_path(self):
        sys.path.insert(0, "")
    def init_shell(self):
        pass
    def versions(self):
        "What the kernel's own late imports find."
        import tornado as again
        import tornado.late
        from tornado import later
        from tornado.late import helper
        from tornado.package.deep import UP
        return [tornado.version, again.version, tornado.late.version, later.version, helper, UP]

def launch_new_instance():
    IPKernelApp.launch_instance()
"""
EAGER = ("ipykernel/ipkernel", "ipykernel/zmqshell", "ipykernel/debugger", "IPython/core/completer", "jedi/__init__",
         "tornado/platform/asyncio", "zmq/eventloop/zmqstream")  # fmt: skip


class World:
    """A layer, an image's packages, and a cell."""

    def __init__(self, folder: Path) -> None:
        self.kernel, self.site, self.cell = folder / "kernel", folder / "site-packages", folder / "cell.py"
        library = self.kernel / "lib"
        for program in INSIDE.glob("*.py"):
            self.write(self.kernel / program.name, program.read_text())
        for name in EAGER:
            self.write(library / f"{name}.py", "")
        self.write(library / "ipykernel/kernelapp.py", f"CELL = {str(self.cell)!r}\n{KERNELAPP}")
        self.package(library, "tornado", "6.5")
        self.write(library / "tornado/late.py", "from . import version\nimport tornado\nhelper = tornado.version\n")
        self.write(library / "tornado/later.py", "from tornado import version\n")
        self.write(library / "tornado/package/__init__.py", "")
        self.write(library / "tornado/package/deep.py", "from .. import version as UP\nfrom ..late import helper\n")
        self.package(library, "traitlets", "5.14", "VALUE = 'ours'\n")
        self.package(library, "six", "1.17")
        packaging = Path(sys.modules["packaging"].__file__ or "").parent if "packaging" in sys.modules else None
        if packaging is None:
            import packaging as found

            packaging = Path(found.__file__).parent
        (library / "packaging").symlink_to(packaging)
        rows = [("tornado", "tornado", ">=6.2"), ("traitlets", "traitlets", ">=5"), ("six", "six", "")]
        rows += [("packaging", "packaging", ">=20"), ("IPython", "ipython", ">=7"), ("ipykernel", "ipykernel", "")]
        self.write(library / "names.txt", "".join("\t".join(row) + "\n" for row in rows))
        self.site.mkdir()

    @staticmethod
    def write(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.name != "__init__.py":
            for folder in path.parents:
                if folder.name in {"lib", "kernel", "site-packages"}:
                    break
                (folder / "__init__.py").touch()
        path.write_text(text)

    def package(self, folder: Path, name: str, version: str, text: str = "") -> None:
        self.write(folder / name / "__init__.py", f"version = {version!r}\n{text}")
        self.write(folder / f"{name}-{version}.dist-info" / "METADATA", f"Name: {name}\nVersion: {version}\n")
        (folder / f"{name}-{version}.dist-info" / "__init__.py").unlink(missing_ok=True)

    def run(self, cell: str) -> tuple[object, str]:
        """What *cell* prints as JSON, and what is said on standard error."""
        self.cell.write_text(f"import json, sys\n{cell}")
        # As an image has it: its packages are in the path before any program of ours runs.
        code = f"import sys, runpy; sys.path.append({str(self.site)!r}); sys.path.insert(0, {str(self.kernel)!r}); "
        code += f"runpy.run_path({str(self.kernel / 'start.py')!r}, run_name='__main__')"
        done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout), done.stderr


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_an_image_with_none_of_them_has_the_library_at_the_end_of_its_path(world: World) -> None:
    found, said = world.run("print(json.dumps([sys.path, app.versions()]))")
    path, versions = found
    assert path[-1] == str(world.kernel / "lib") and str(world.kernel) not in path and path.index("") == 0
    assert versions == ["6.5"] * 6 and said == ""


def test_packages_that_will_do_are_the_images_for_both_sides(world: World) -> None:
    world.package(world.site, "tornado", "6.3", "VALUE = 'the image'\n")
    world.write(world.site / "tornado/late.py", "version = helper = '6.3'\n")
    world.write(world.site / "tornado/later.py", "version = '6.3'\n")
    world.write(world.site / "tornado/package/deep.py", "UP = '6.3'\n")
    found, said = world.run("import tornado; print(json.dumps([tornado.version, app.versions()]))")
    assert found == ["6.3", ["6.3"] * 6] and said == ""


def test_an_old_package_of_the_image_is_the_cells_and_the_kernel_has_its_own(world: World) -> None:
    world.package(world.site, "tornado", "4.5")
    world.write(world.site / "tornado/old.py", "from . import version\n")
    found, said = world.run(
        "import tornado, tornado.old, six\n"
        "try:\n    import tornado.late\nexcept ImportError as error:\n    missing = error.name\n"
        "print(json.dumps([tornado.version, tornado.old.version, missing, app.versions(), six.version, sys.path[0]]))"
    )
    assert found == ["4.5", "4.5", "tornado.late", ["6.5"] * 6, "1.17", ""]
    assert "the image has tornado 4.5, and ipykernel needs >=6.2" in said


def test_late_imports_of_both_sides_do_not_meet_whichever_is_first(world: World) -> None:
    world.package(world.site, "tornado", "4.5")
    for first, second in (("app.versions()", "import tornado"), ("import tornado", "app.versions()")):
        found, _ = world.run(f"{first}\n{second}\nimport tornado\nprint(json.dumps([tornado.version, app.versions()]))")
        assert found == ["4.5", ["6.5"] * 6]


def test_what_cells_and_kernel_share_is_the_kernels_when_it_has_to_be(world: World) -> None:
    world.package(world.site, "traitlets", "4.3", "VALUE = 'the image'\n")
    world.package(world.site, "six", "1.10")
    found, said = world.run(
        "import traitlets, six; print(json.dumps([traitlets.VALUE, traitlets.version, six.version]))"
    )
    assert found == ["ours", "5.14", "1.10"]
    assert "the image has traitlets 4.3" in said
    world.package(world.site, "traitlets", "5.1", "VALUE = 'the image'\n")
    (world.site / "traitlets-4.3.dist-info/METADATA").unlink()
    (world.site / "traitlets-4.3.dist-info").rmdir()
    found, said = world.run("import traitlets, six; print(json.dumps([traitlets.VALUE, six.version]))")
    assert found == ["the image", "1.10"] and said == ""


def test_a_package_that_does_not_tell_its_version_is_not_relied_on(world: World) -> None:
    world.write(world.site / "tornado/__init__.py", "version = 'a copy'\n")
    found, said = world.run("import tornado; print(json.dumps([tornado.version, app.versions()]))")
    assert found == ["a copy", ["6.5"] * 6] and "does not say which version" in said


def test_the_images_packaging_is_not_replaced_by_the_comparison(world: World) -> None:
    world.package(world.site, "tornado", "4.5")
    world.package(world.site, "packaging", "21.0", "VALUE = 'the image'\n")
    found, _ = world.run("import packaging; print(json.dumps(packaging.VALUE))")
    assert found == "the image"


def test_a_module_that_fails_late_can_be_tried_again(world: World) -> None:
    world.package(world.site, "tornado", "4.5")
    world.write(
        world.kernel / "lib/tornado/broken.py", "import os\nif not os.path.exists('/nonexistent'): raise OSError\n"
    )
    world.write(
        world.kernel / "lib/ipykernel/trying.py",
        "def attempt():\n    try:\n        import tornado.broken\n    except OSError:\n        return 'failed'\n"
        "def missing():\n    try:\n        from tornado import nothing\n"
        "    except ImportError:\n        return 'none'\n",
    )
    found, _ = world.run(
        "from ipykernel.trying import attempt, missing; print(json.dumps([attempt(), attempt(), missing()]))"
    )
    assert found == ["failed", "failed", "none"]


def test_a_program_that_the_kernel_runs_for_a_cell_is_the_cells_side(world: World) -> None:
    world.package(world.site, "tornado", "4.5")
    world.write(
        world.kernel / "lib/ipykernel/running.py",
        "def run(code):\n    names = {}\n    exec(code, names)\n    return names['V'], eval('V', names)\n"
        "def own():\n    W = 2\n    import tornado\n    return eval('tornado.version, W')\n",
    )
    cell = (
        "from ipykernel.running import own, run\nprint(json.dumps([run('import tornado; V = tornado.version'), own()]))"
    )
    found, _ = world.run(cell)
    assert found == [["4.5", "4.5"], ["6.5", 2]]


def test_it_is_written_for_the_oldest_python_that_is_supported() -> None:
    import ast

    for program in INSIDE.glob("*.py"):
        ast.parse(program.read_text(), feature_version=(3, 9))
