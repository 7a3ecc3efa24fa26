"""Images that were not made for notebooks, and their kernels: the image is what it was, ipykernel is beside it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import conformance
import nbformat
import pytest

from jupyter_containers.build.ensure import ensure_built
from jupyter_containers.build.injection import layer as injection
from jupyter_containers.environments import Environments
from jupyter_containers.errors import ConflictError, NotFoundError
from jupyter_containers.image import gc
from jupyter_containers.image.model import ExecutionConfig, Image, ImageConfig
from jupyter_containers.image.saving import save
from jupyter_containers.image.store import Store
from jupyter_containers.kernels import kernelspec, pool
from jupyter_containers.kernels.execute import execute_notebooks
from jupyter_containers.lock.fit import host_architecture
from jupyter_containers.lock.uv import run_uv, uv_environment
from jupyter_containers.paths import Paths

pytestmark = [pytest.mark.network, pytest.mark.slow]

SPEC = """\
name = "plain-{name}"
base = "debian:{suite}"
python = "none"
[packages]
apt = [{apt}]
[kernel]
language = "none"
argv = ["/bin/false", "{{connection_file}}"]
"""
"""A Debian tree; what is told of it is replaced, as if somebody else had made the image."""

BUSYBOX = next((path for path in ("/bin/busybox", "/usr/bin/busybox") if Path(path).exists()), None)


class Images:
    """Images made for the purpose, in the store that the tests share."""

    def __init__(self, paths: Paths) -> None:
        self.paths, self.store = paths, Store(paths.store)

    def debian(self, suite: str, *apt: str, name: str = "", **execution: object) -> Image:
        """Debian with these packages: its own user, environment and command are what *execution* says."""
        name = name or suite
        folder = self.paths.home / "specs" / f"plain-{name}"
        folder.mkdir(parents=True, exist_ok=True)
        text = SPEC.format(name=name, suite=suite, apt=", ".join(f'"{item}"' for item in apt))
        file = folder / "jupyter-container.toml"
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
        return self.put(f"plain-test/{name}:1", ensure_built(folder, paths=self.paths).image.layers, **execution)

    def put(self, reference: str, layers, **execution: object) -> Image:
        config = ImageConfig(architecture=host_architecture(), config=ExecutionConfig(**execution))  # type: ignore[arg-type]
        image = self.store.put_image(config, layers)
        self.store.tag(reference, image.digest)
        return self.store.image(image.digest)

    def with_packages(self, base: Image, reference: str, folder: str, python: str, *requirements: str) -> Image:
        """*base* with these Python packages in *folder*, as its own pip would have put them there."""
        with self.store.lease(), self.store.staging() as staging:
            target = staging.fs / folder.strip("/")
            target.mkdir(parents=True)
            arguments = ["pip", "install", "--quiet", "--target", str(target), "--python-version", python,
                         "--python-platform", "x86_64-manylinux_2_31", "--no-deps", *requirements]  # fmt: skip
            done = run_uv(arguments, staging.path, cache_dir=self.paths.store / "cache" / "uv")
            assert done.returncode == 0, done.stderr
            layer = self.store.commit_layer(staging.fs, created_by="pip install")
            return self.put(reference, [*base.layers, layer])

    def busybox(self) -> Image:
        """One static program, and nothing that it would be linked with: not even /tmp or /etc."""
        assert BUSYBOX is not None
        with self.store.lease(), self.store.staging() as staging:
            (staging.fs / "bin").mkdir()
            shutil.copy(BUSYBOX, staging.fs / "bin" / "busybox")
            (staging.fs / "bin" / "sh").symlink_to("busybox")
            layer = self.store.commit_layer(staging.fs, created_by="busybox")
            return self.put("plain-test/busybox:1", [layer], cmd=("/bin/sh",))


@pytest.fixture(scope="module")
def images(user: Paths) -> Images:
    return Images(user)


@pytest.fixture(scope="module")
def environments(user: Paths) -> Iterator[Environments]:
    with Environments(user) as made:
        yield made


@pytest.fixture
def open_kernel(environments, open_session):
    """The kernel of an image, adopted under a name."""

    def start(image: Image, name: str, **options: object):
        environments.adoption.adopt(image.digest, name)
        if options:
            kernelspec.install(name, paths=environments.paths, **options)
        return open_session(f"jc-{name}")

    return start


@pytest.mark.parametrize(
    ("suite", "apt", "version"),
    [
        ("bullseye", "python3", "3.9"),
        ("bookworm", "python3", "3.11"),
        ("trixie", "python3", "3.13"),
        ("forky", "python3.14", "3.14"),
    ],
)
def test_debians_pythons(images, open_kernel, suite, apt, version):
    image = images.debian(suite, apt)
    session = open_kernel(image, f"on-{suite}")
    assert session.run("import sys; print('{}.{}'.format(*sys.version_info))") == version
    assert session.run("sys.executable").strip("'").startswith("/usr/bin/python3")
    # The image's own comes first, ours last, and nothing of it is in the environment that a subprocess gets.
    assert session.run("sys.path[-1]") == "'/run/jupyter-containers/kernel/lib'"
    code = "import subprocess; print(subprocess.run([sys.executable, '-c', 'import sys; print(sys.path)'], "
    assert "jupyter-containers" not in session.run(code + "capture_output=True, text=True).stdout)")
    assert "PYTHON" not in session.run("import os; ' '.join(os.environ)")
    assert "read-only" in session.run(
        "try:\n    open(sys.path[-1] + '/x', 'w')\nexcept OSError as error:\n    print(str(error).lower())"
    )
    assert session.run("import multiprocessing as m; m.get_context('spawn').Pool(1).map(abs, [-3])") == "[3]"
    assert (
        session.run("from IPython.display import HTML; await __import__('asyncio').sleep(0, 'awaited')") == "'awaited'"
    )
    assert session.run("import debugpy, psutil, zmq; zmq.zmq_version_info()[0]") == "4"
    assert session.container.config.image == image.digest
    assert session.container.changes() == () or all(
        change.path.startswith(("/root", "/tmp")) for change in session.container.changes()
    )


def test_an_image_with_old_packages_keeps_them_and_the_kernel_has_its_own(images, open_kernel):
    base = images.debian("bookworm", "python3")
    image = images.with_packages(
        base, "plain-test/old:1", "/usr/local/lib/python3.11/dist-packages", "3.11",
        "tornado==5.1.1", "traitlets==4.3.3", "decorator==4.4.2", "ipython_genutils==0.2.0", "six==1.12.0",
        "packaging==20.0", "pyparsing==2.4.7", "psutil==5.9.8",
    )  # fmt: skip
    session = open_kernel(image, "on-old")
    assert session.run("import tornado, tornado.ioloop; tornado.version") == "'5.1.1'"
    assert session.run("import packaging; packaging.__version__") == "'20.0'"
    assert session.run("import six, decorator; six.__version__, decorator.__version__") == "('1.12.0', '4.4.2')"
    assert session.run("import psutil; psutil.__version__, psutil.Process().pid > 0") == "('5.9.8', True)"
    # traitlets is one for both: magics and widgets of the image's packages are the kernel's to work with.
    assert session.run("import traitlets; traitlets.version_info[0]") == "5"
    code = "import ipykernel.kernelbase, sys; k = get_ipython().kernel; k.control_stream.io_loop.__class__.__module__"
    assert session.run(code).startswith("'tornado.platform")
    # What the kernel imports late is its own: completion, inspection, the debugger, a magic, a program that it runs.
    matches = session.client.complete("tornado.vers", reply=True, timeout=60)["content"]["matches"]
    assert any(match.endswith("version") for match in matches)
    assert "per loop" in session.run("%timeit -n1 -r1 pass")
    assert "Writing prog.py" in session.run("%%writefile prog.py\nimport tornado; print(tornado.version)")
    assert session.run("%run prog.py") == "5.1.1"
    assert session.run("input('? ')", answer="heard") == "'heard'"
    assert "the image has tornado 5.1.1, and ipykernel needs" in session.container.logs()


def test_an_image_with_packages_that_will_do_shares_them(images, open_kernel):
    base = images.debian("bookworm", "python3")
    image = images.with_packages(
        base, "plain-test/new:1", "/usr/local/lib/python3.11/dist-packages", "3.11",
        "tornado==6.5.8", "traitlets==5.14.3",
    )  # fmt: skip
    session = open_kernel(image, "on-new")
    where = session.run("import tornado, traitlets; print(tornado.__file__, traitlets.__file__)")
    assert where.count("/usr/local/lib/python3.11/dist-packages/") == 2
    assert session.run("type(get_ipython().kernel.iopub_thread.io_loop).__module__.partition('.')[0]") == "'tornado'"
    assert "kernel:" not in session.container.logs()


def test_an_image_with_an_ipykernel_of_its_own_runs_that_one(images, open_kernel, environments, small_environment):
    image = images.put("plain-test/own:1", small_environment.image.layers, env=("PATH=/opt/venv/bin:/usr/bin:/bin",))
    session = open_kernel(image, "on-own")
    assert session.run("import ipykernel; ipykernel.__file__").startswith("'/opt/venv/lib/")
    assert session.container.config.layers == ()


def test_an_injected_kernel_waits_in_the_pool(images, open_kernel, monkeypatch):
    monkeypatch.setattr(pool, "QUIET", 3600.0)
    session = open_kernel(images.debian("bookworm", "python3"), "on-pool", warm="wait")
    assert session.container.state().start == "pool: an injected kernel can't be a fork"
    assert session.run("import os; print(os.getuid(), os.getcwd())") == f"0 {os.getcwd()}"


def test_what_cannot_be_forked_after_all_is_tried_once(images, open_kernel, small_environment, monkeypatch):
    """The kernel of the image could be, its user, who is root, can't."""
    monkeypatch.setattr(pool, "QUIET", 3600.0)
    image = images.put("plain-test/root:1", small_environment.image.layers, env=("PATH=/opt/venv/bin:/usr/bin:/bin",))
    first, second = (open_kernel(image, "on-root", warm="wait").container.state().start for _ in range(2))
    reason = "a container whose user is root inside can't be forked"
    assert (first, second) == (f"fresh: {reason}", f"pool: {reason}")


@pytest.mark.skipif(BUSYBOX is None, reason="needs a static busybox: apt-get install busybox-static")
def test_an_image_without_a_python_gets_one(images, open_kernel):
    session = open_kernel(images.busybox(), "on-busybox")
    assert session.run("import sys; sys.executable") == "'/run/jupyter-containers/kernel/python/bin/python3'"
    assert session.run("import os, tempfile; os.path.exists('/lib'), tempfile.gettempdir()") == "(False, '/tmp')"
    # Its own loader and libraries, for itself, its extension modules, and what it starts.
    code = "import ssl, sqlite3, ctypes, lzma, bz2, curses, readline, zmq, uuid; print(ssl.OPENSSL_VERSION.split()[0])"
    assert session.run(code) == "OpenSSL"
    loaded = "{line.split()[-1] for line in open('/proc/self/maps') if '.so' in line}"
    assert session.run(f"all(path.startswith('/run/jupyter-containers/kernel/') for path in {loaded})") == "True"
    assert session.run("import multiprocessing as m; m.get_context('spawn').Pool(1).map(abs, [-3])") == "[3]"
    # The image's own programs run as they would without it.
    assert session.run("!/bin/busybox echo from the image") == "from the image"
    assert session.run("[name for name in os.environ if name.startswith(('LD_', 'PYTHON'))]") == "[]"
    assert "pip" in session.run("%pip --version")
    import_error = "try:\n    import numpy\nexcept ImportError:\n    print('none')"
    assert session.run(import_error) == "none"


def test_our_interpreter_in_an_image_with_an_older_c_library(images, open_kernel):
    session = open_kernel(images.debian("bullseye", name="bullseye-bare"), "on-bare")
    assert session.run("import sys; '{}.{}'.format(*sys.version_info)") == "'3.13'"
    assert session.run("import platform; platform.libc_ver()") == "('glibc', '2.41')"
    assert session.run("!ldd --version | head -1").endswith("2.31")


def test_a_python_that_is_too_old_is_told_and_passed_over(images, environments, tmp_path):
    with images.store.lease(), images.store.staging() as staging:
        (staging.fs / "usr/local/bin").mkdir(parents=True)
        program = staging.fs / "usr/local/bin/python3"
        answer = '{"version":[3,6,9],"implementation":"cpython","libc":"glibc 2.27","host":"","threads":"","kernel":""}'
        program.write_text(f"#!/bin/sh\necho '{answer}'\n")
        program.chmod(0o755)
        layer = images.store.commit_layer(staging.fs, created_by="an old Python")
        base = images.debian("bullseye", name="bullseye-bare")
        image = images.put("plain-test/python3.6:1", [*base.layers, layer])
    adopted = environments.adoption.adopt(image.digest, "on-36", kernelspec=False)
    assert "/usr/local/bin/python3 is Python 3.6, and kernels are for 3.9 to 3.14" in adopted.note


def test_settings_of_the_image_hold_for_its_kernel(images, open_kernel, folder):
    base = images.debian("bookworm", "python3")
    image = images.put(
        "plain-test/settings:1", base.layers, user="games", env=("COLOUR=blue", "PATH=/usr/games:/usr/bin:/bin"),
        working_dir="/srv/work", volumes={"/srv/data": {}}, entrypoint=("/usr/bin/env", "VIA=entrypoint"),
    )  # fmt: skip
    session = open_kernel(image, "on-settings", mount_folder="none")
    assert session.run("import os, getpass; os.getuid(), os.getgid(), getpass.getuser()") == "(5, 60, 'games')"
    assert session.run("os.environ['COLOUR'], os.environ['PATH'], os.getcwd()") == (
        "('blue', '/usr/games:/usr/bin:/bin', '/srv/work')"
    )
    assert session.run("open('/srv/data/x', 'w').write('1'), os.environ.get('VIA')") == "(1, None)"
    assert not any(change.path.startswith("/srv/data/") for change in session.container.changes())
    session.close()
    session = open_kernel(image, "on-settings", mount_folder="none", entrypoint=True, run_as="jovyan")
    assert session.run("import os; os.environ['VIA'], os.getuid(), os.environ['HOME']") == (
        "('entrypoint', 1000, '/home/jovyan')"
    )


def notebook(folder: Path, *cells: str) -> Path:
    path = folder / "n.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells]), path)
    return path


def test_notebooks_are_executed_in_an_image_by_its_name(images, folder):
    images.debian("bookworm", "python3")
    path = notebook(folder, "open('/etc/debian_version').read().partition('.')[0]")
    (result,) = execute_notebooks([path], env="plain-test/bookworm:1")
    assert (result.status, result.environment) == ("ok", "plain-test/bookworm:1"), result
    output = nbformat.read(folder / "n.executed.ipynb", 4).cells[0].outputs[0]
    assert output.data["text/plain"] == "'12'"
    with pytest.raises(NotFoundError, match="no environment and no image 'plain-test/nothing:1'"):
        execute_notebooks([path], env="plain-test/nothing:1")


def test_a_spec_that_names_an_image_and_nothing_else_is_that_image(images, user, folder):
    image = images.debian("bookworm", "python3")
    spec = user.home / "specs" / "plain-spec"
    spec.mkdir(parents=True, exist_ok=True)
    if not (spec / "image.tar").exists():
        save(images.store, image, spec / "image.tar", compression="none")
    (spec / "jupyter-container.toml").write_text('name = "plain-spec"\nbase = "oci-archive:image.tar"\n')
    built = ensure_built(spec, paths=user)
    assert built.image.digest == image.digest
    path = notebook(folder, "import sys, ipykernel; print(sys.executable, ipykernel.__file__)")
    (result,) = execute_notebooks([path], env=str(spec))
    assert result.status == "ok", result
    text = nbformat.read(folder / "n.executed.ipynb", 4).cells[0].outputs[0].text
    assert text.startswith("/usr/bin/python3 /run/jupyter-containers/kernel/lib/ipykernel/")


def test_an_adopted_image_is_an_environment_like_any(images, environments, user):
    image = images.debian("bookworm", "python3")
    adopted = environments.adoption.adopt("plain-test/bookworm:1", "on-env", display_name="Plain")
    assert adopted.kernel and not adopted.note and adopted.image.digest == image.digest
    view = environments.view("on-env")
    assert (view.state, view.spec_file, view.image, view.display_name) == ("ready", "", image.digest, "Plain")
    assert "jc-on-env" in {item.name for item in kernelspec.list_installed()}
    # No collector takes its kernel's layer as long as it is there.
    assert adopted.kernel in images.store.pins().values()
    assert not any(adopted.kernel[:30] in line for line in gc.collect(images.store, dry_run=True).items)
    spec = user.home / "specs" / "small" / "jupyter-container.toml"
    if spec.exists():
        with pytest.raises(ConflictError):
            environments.adoption.adopt("plain-test/bookworm:1", "small", kernelspec=False)
    environments.forget("on-env")
    assert "kernel-on-env" not in images.store.pins()


def test_an_image_of_a_registry_is_pulled(images, environments, registry, tmp_path):
    image = images.debian("bookworm", "python3")
    name = f"{registry}/plain/python:3"
    environments.shipping.push(image, name)
    own = Paths(tmp_path / "home", tmp_path / "run").made()
    with Environments(own) as elsewhere:
        adopted = elsewhere.adoption.adopt(name, kernelspec=False)
        view = elsewhere.view("python-3")
    assert adopted.image.digest == image.digest and (view.state, view.display_name) == ("ready", name)


def test_the_debugger_works_beside_old_packages(images, open_kernel):
    base = images.debian("bookworm", "python3")
    image = images.with_packages(
        base, "plain-test/older:1", "/usr/local/lib/python3.11/dist-packages", "3.11", "tornado==5.1.1"
    )
    client = open_kernel(image, "on-old").client

    def ask(command: str, **arguments: object) -> dict:
        content = {"type": "request", "seq": 1, "command": command, "arguments": arguments}
        message = client.session.msg("debug_request", content)
        client.control_channel.send(message)
        while True:
            reply = client.get_control_msg(timeout=60)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                return reply["content"]

    assert ask("initialize", clientID="test", adapterID="", linesStartAt1=True, pathFormat="path")["success"]
    assert ask("attach")["success"]
    assert ask("dumpCell", code="x = 1")["body"]["sourcePath"]
    assert ask("disconnect", restart=False, terminateDebuggee=False)["success"]


def test_the_layer_is_the_same_for_everybody_and_shared_by_images_of_one_base(images, environments, tmp_path):
    base = images.debian("bookworm", "python3")
    other = images.with_packages(
        base, "plain-test/child:1", "/usr/local/lib/python3.11/dist-packages", "3.11", "tomli==2.0.1"
    )
    first, second = (environments.adoption.adopt(image.digest, "on-same", kernelspec=False) for image in (base, other))
    assert first.kernel == second.kernel
    # Another home, another path, another time: the same bytes.
    own = Paths(tmp_path / "home", tmp_path / "run").made()
    save(images.store, base, tmp_path / "base.tar", compression="none")
    with Environments(own) as elsewhere:
        third = elsewhere.adoption.adopt(f"oci-archive:{tmp_path / 'base.tar'}", "here", kernelspec=False)
    assert third.kernel == first.kernel


def test_packages_that_the_index_does_not_have_are_told(images, user, monkeypatch, tmp_path):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:1/simple")
    image = images.debian("bookworm", "python3")
    other = images.put("plain-test/nowhere:1", image.layers, env=("LD_LIBRARY_PATH=/nowhere",))
    monkeypatch.setattr(injection, "uv_cache", lambda paths: tmp_path / "uv")
    assert uv_environment()["UV_DEFAULT_INDEX"]
    with pytest.raises(Exception, match="the Python index does not answer"):
        injection.ensure_injection(other, name="plain-nowhere", paths=user)


@pytest.fixture(scope="module")
def suite_kernel(images, environments, tmp_path_factory):
    environments.adoption.adopt(images.debian("bookworm", "python3").digest, "on-suite")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("suite"))
        yield


@pytest.mark.usefixtures("suite_kernel")
class TestInjectedKernel(conformance.PythonKernelTests):
    """The conformance tests of the Jupyter project, against an injected kernel."""

    kernel_name = "jc-on-suite"
