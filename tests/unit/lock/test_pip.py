from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import msgspec
import pytest

from jupyter_containers.errors import HashMismatchError, ResolutionError, SpecError, UnreachableError
from jupyter_containers.lock.artifacts import select_artifacts
from jupyter_containers.lock.asking import Source
from jupyter_containers.lock.fetch import Fetcher
from jupyter_containers.lock.model import Interpreter
from jupyter_containers.lock.pip import needs_ipykernel, resolve_python, wants_python
from jupyter_containers.lock.sdists import SourceMetadata
from jupyter_containers.lock.uv import uv_environment
from jupyter_containers.spec.model import EnvironmentSpec, Kernel, LoadedSpec, Packages

INTERPRETER = Interpreter(version="3.13", path="/usr/bin/python3", full_version="3.13.5", glibc="2.41")

pytestmark = pytest.mark.usefixtures("own_environment")


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "a project"  # people have blanks in their folders' names
    made.mkdir()
    return made


@pytest.fixture
def resolve(index, folder, tmp_path, settings):
    index.add("ipykernel", "7.0.0")
    index.add("pip", "26.0")

    def run(
        *pip: str,
        previous=None,
        upgrade=False,
        offline=False,
        pylock=None,
        kernel=Kernel(),  # noqa: B008
        architectures=("amd64",),
        fetcher=None,
        warn=None,
        ask=None,
        **packages,
    ):
        spec = EnvironmentSpec(name="x", packages=Packages(pip=pip, index_url=index.url, **packages), kernel=kernel)
        loaded = LoadedSpec(spec=spec, folder=folder, pylock=pylock)
        return resolve_python(
            loaded, INTERPRETER, cache_dir=tmp_path / "uv", settings=msgspec.structs.replace(settings, offline=offline),
            architectures=architectures, previous=previous, upgrade=upgrade, fetcher=fetcher, warn=warn, ask=ask,
        )  # fmt: skip

    return run


class Asked:
    """Answers what a source needs, and remembers the questions."""

    def __init__(self, *requires: str, name: str = "old", version: str = "1.0") -> None:
        self.answer = SourceMetadata(requires, (), "its build", name, version)
        self.questions: list[Source] = []

    def __call__(self, source: Source) -> SourceMetadata:
        self.questions.append(source)
        return self.answer


def versions(packages):
    """By name; without pip, which every environment of a Python kernel has."""
    found = {package["name"]: package.get("version") for package in packages.pylock["packages"]}
    return {name: version for name, version in found.items() if name != "pip"}


def test_dependencies_and_ipykernel(resolve, index):
    index.add("alpha", "1.0", "beta>=2; python_version > '3.8'", "gamma; sys_platform == 'win32'")
    index.add("beta", "1.0")
    digest = index.add("beta", "2.0")
    found = resolve("alpha")
    assert versions(found) == {"alpha": "1.0", "beta": "2.0", "ipykernel": "7.0.0"}
    (beta,) = [package for package in found.pylock["packages"] if package["name"] == "beta"]
    assert beta["wheels"][0]["hashes"] == {"sha256": digest}


def test_a_python_kernel_has_pip_for_its_cells(resolve, index):
    assert {"ipykernel", "pip"} <= {package["name"] for package in resolve().pylock["packages"]}


def test_ipykernel_is_left_out_where_the_kernel_is_another(resolve, index):
    index.add("alpha", "1.0")
    kernel = Kernel(argv=("/opt/venv/bin/xpython", "{connection_file}"))
    assert versions(resolve("alpha", kernel=kernel)) == {"alpha": "1.0"}


def test_own_wish_for_ipykernel_is_respected(resolve, index):
    index.add("ipykernel", "6.0.0")
    assert versions(resolve("ipykernel<7")) == {"ipykernel": "6.0.0"}


def test_who_wants_python():
    assert wants_python(EnvironmentSpec(name="x")) and needs_ipykernel(EnvironmentSpec(name="x"))
    assert not wants_python(EnvironmentSpec(name="x", python="none"))
    r = EnvironmentSpec(name="x", kernel=Kernel(argv=("/usr/bin/R",), language="r"))
    assert not wants_python(r) and not needs_ipykernel(r)
    assert wants_python(msgspec.structs.replace(r, packages=Packages(pip=("x",))))
    assert needs_ipykernel(
        EnvironmentSpec(name="x", kernel=Kernel(argv=("/start", "python3", "-m", "ipykernel_launcher")))
    )


def test_extras_constraints_and_urls(resolve, index, site):
    index.add("alpha", "1.0")
    index.add("alpha", "2.0")
    content = index.add("solo", "1.0")
    found = resolve("alpha", f"solo @ {site.url}/files/solo-1.0-py3-none-any.whl", constraints=("alpha<2",))
    assert versions(found) == {"alpha": "1.0", "ipykernel": "7.0.0", "solo": "1.0"}
    (solo,) = [package for package in found.pylock["packages"] if package["name"] == "solo"]
    assert solo["archive"]["hashes"]["sha256"] == content


def test_versions_are_kept_until_an_upgrade_is_asked_for(resolve, index):
    index.add("alpha", "1.0")
    index.add("beta", "1.0")
    first = resolve("alpha", "beta")
    index.add("alpha", "2.0")
    index.add("beta", "2.0")
    assert versions(resolve("alpha", "beta", previous=first)) == versions(first)
    one = resolve("alpha", "beta", previous=first, upgrade=frozenset({"beta"}))
    assert versions(one) == {"alpha": "1.0", "beta": "2.0", "ipykernel": "7.0.0"}
    every = resolve("alpha", "beta", previous=first, upgrade=True)
    assert versions(every) == {"alpha": "2.0", "beta": "2.0", "ipykernel": "7.0.0"}


def test_second_resolution_asks_no_network(resolve, index, site):
    index.add("alpha", "1.0")
    first = resolve("alpha")
    site.asked.clear()
    assert resolve("alpha") == first
    assert site.asked == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [("nunpy", "did you mean numpy for nunpy?"), ("cv2", "opencv-python-headless for cv2"), ("qqzzqq", "pypi.org")],
)
def test_names_that_no_index_has(resolve, name, hint):
    with pytest.raises(ResolutionError, match=f"dependencies: Because {name} was not found") as caught:
        resolve(name)
    assert hint in caught.value.hint


def test_hashes_of_the_spec(resolve, index):
    digest = index.add("alpha", "1.0")
    assert versions(resolve(f"alpha==1.0 --hash=sha256:{digest}"))["alpha"] == "1.0"
    with pytest.raises(ResolutionError, match=r"no file of alpha 1.0 that fits has one of the hashes") as caught:
        resolve(f"alpha==1.0 --hash=sha256:{'0' * 64}")
    assert f"sha256:{digest}" in caught.value.message and "correct the hash" in caught.value.hint
    with pytest.raises(ResolutionError, match="none of its hashes is a sha256"):
        resolve(f"alpha==1.0 --hash=sha512:{'0' * 128}")


def test_no_solution_is_explained_in_uvs_words(resolve, index):
    index.add("alpha", "1.0")
    with pytest.raises(ResolutionError) as caught:
        resolve("alpha>=2")
    text = str(caught.value)
    assert "only alpha" in text and "alpha>=2" in text and "markers" not in text and "error:" not in text


def test_package_that_does_not_exist(resolve):
    with pytest.raises(ResolutionError, match="no-such-thing"):
        resolve("no-such-thing")


def sdist(proof, **files: str) -> bytes:
    """A source archive ``old-1.0.tar.gz`` whose code leaves a file behind when it is run."""
    setup = f"open({str(proof)!r}, 'w')\nfrom setuptools import setup\nsetup(name='old', version='1.0')\n"
    content = BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, text in {"setup.py": setup, **files}.items():
            member = tarfile.TarInfo(f"old-1.0/{name}")
            member.size = len(text)
            archive.addfile(member, BytesIO(text.encode()))
    return content.getvalue()


PKG_INFO = "Metadata-Version: 1.0\nName: old\nVersion: 1.0\n"


def test_source_archive_is_read_and_its_code_not_run(resolve, index, tmp_path, settings):
    proof = tmp_path / "ran"
    egg = {
        "PKG-INFO": PKG_INFO,
        "old.egg-info/PKG-INFO": PKG_INFO,
        "old.egg-info/requires.txt": "alpha>=1\n[more]\nbeta\n",
    }
    digest = index.publish("old", "old-1.0.tar.gz", sdist(proof, **egg))
    index.add("alpha", "1.0")
    index.add("beta", "1.0")
    index.add("wants", "1.0", "old")
    told = []
    with Fetcher(tmp_path / "archives", settings) as fetcher:
        plain = resolve("wants", fetcher=fetcher, warn=told.append)
        more = resolve("old[more]", fetcher=fetcher, previous=plain)
    assert versions(plain) == {"alpha": "1.0", "ipykernel": "7.0.0", "old": "1.0", "wants": "1.0"}
    assert versions(more) == {"alpha": "1.0", "beta": "1.0", "ipykernel": "7.0.0", "old": "1.0"}
    (old,) = [item for item in select_artifacts(plain, architecture="amd64") if item.name == "old"]
    assert (old.kind, old.sha256) == ("sdist", digest)
    assert told == [
        "old 1.0 has no wheel that fits: it is built in the sandbox, and needs alpha>=1 (says its requires.txt)"
    ]
    assert not proof.exists()


def test_source_archive_that_does_not_tell(resolve, index, tmp_path, settings):
    proof = tmp_path / "ran"
    index.publish("old", "old-1.0.tar.gz", sdist(proof))
    with (
        Fetcher(tmp_path / "archives", settings) as fetcher,
        pytest.raises(ResolutionError, match="does not tell") as caught,
    ):
        resolve("old", fetcher=fetcher)
    assert not proof.exists() and "jupyter containers build" in caught.value.hint


def test_source_archive_that_does_not_tell_is_asked_where_it_may_be(resolve, index, tmp_path, settings):
    proof = tmp_path / "ran"
    digest = index.publish("old", "old-1.0.tar.gz", sdist(proof))
    index.add("alpha", "1.0")
    ask = Asked("alpha>=1")
    with Fetcher(tmp_path / "archives", settings) as fetcher:
        found = resolve("old", fetcher=fetcher, ask=ask)
        again = resolve("old", fetcher=fetcher, ask=ask, previous=found)
    assert versions(found) == versions(again) == {"alpha": "1.0", "ipykernel": "7.0.0", "old": "1.0"}
    source = ask.questions[0]
    assert (source.kind, source.title, source.filename) == ("sdist", "old 1.0", "old-1.0.tar.gz")
    assert hashlib.sha256(Path(source.place).read_bytes()).hexdigest() == digest
    assert not proof.exists()


@pytest.mark.parametrize("project", ["setup.py", "dynamic"])
@pytest.mark.parametrize("requirement", ["./old", "./old[more] ; python_version >= '3'"])
def test_folder_that_does_not_tell_is_asked_where_it_may_be(resolve, index, folder, project, requirement):
    index.add("alpha", "1.0")
    (folder / "old").mkdir()
    if project == "setup.py":
        (folder / "old/setup.py").write_text("raise SystemExit('run')")
    else:
        (folder / "old/pyproject.toml").write_text("[project]\nname = 'old'\ndynamic = ['version']\n")
    ask = Asked("alpha>=1")
    found = resolve(requirement, ask=ask)
    assert versions(found) == {"alpha": "1.0", "ipykernel": "7.0.0", "old": None}
    assert [(item.kind, item.place) for item in ask.questions] == [("directory", str((folder / "old").resolve()))]
    (old,) = [item for item in select_artifacts(found, architecture="amd64") if item.name == "old"]
    assert (old.kind, old.url_or_path) == ("directory", "old")


def publish_repository(site, folder, pyproject: str) -> str:
    """Serve a git repository, whose branch ``main`` has a package, as plain files; its address."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main"]
    folder.mkdir()
    (folder / "pyproject.toml").write_text(pyproject)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "one"], ["update-server-info"]):
        subprocess.run([*git, *words], cwd=folder, check=True)
    for file in (folder / ".git").rglob("*"):
        if file.is_file():
            site.files[f"/thing.git/{file.relative_to(folder / '.git')}"] = file.read_bytes()
    # What git asks first, for servers that are more than files.
    site.files["/thing.git/info/refs?service=git-upload-pack"] = site.files["/thing.git/info/refs"]
    return f"{site.url}/thing.git"


def test_repository_that_tells(resolve, index, site, tmp_path):
    index.add("alpha", "1.0")
    project = "[project]\nname = 'old'\nversion = '3'\ndependencies = ['alpha']\n"
    address = publish_repository(site, tmp_path / "repository", project)
    found = resolve(f"old @ git+{address}@main")
    assert versions(found) == {"alpha": "1.0", "ipykernel": "7.0.0", "old": "3"}
    (old,) = [item for item in select_artifacts(found, architecture="amd64") if item.name == "old"]
    assert old.kind == "vcs" and re.fullmatch(rf"git\+{address}@[0-9a-f]{{40}}", old.url_or_path)


def test_repository_that_does_not_tell_is_asked_where_it_may_be(resolve, index, site, tmp_path):
    index.add("alpha", "1.0")
    address = publish_repository(site, tmp_path / "repository", "[project]\nname = 'old'\ndynamic = ['version']\n")
    with pytest.raises(ResolutionError, match="does not tell what it needs"):
        resolve(f"old @ git+{address}@main")
    ask = Asked("alpha")
    found = resolve(f"old @ git+{address}@main", ask=ask)
    assert versions(found) == {"alpha": "1.0", "ipykernel": "7.0.0", "old": "1.0"}
    assert [(item.kind, item.place) for item in ask.questions] == [("vcs", f"git+{address}@main")]
    with pytest.raises(ResolutionError, match="calls itself other, and not old"):
        resolve(f"old @ git+{address}@main", ask=Asked(name="other"), upgrade=True)


def test_repository_that_is_not_there(resolve, site):
    with pytest.raises(ResolutionError, match=r"cannot look into the repository of old: .*not found") as caught:
        resolve(f"old @ git+{site.url}/none.git@main")
    assert "git ls-remote" in caught.value.hint


def test_git_that_is_not_there_is_told(resolve, site, tmp_path, monkeypatch):
    address = publish_repository(site, tmp_path / "repository", "[project]\nname = 'old'\nversion = '3'\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ResolutionError, match="git is needed") as caught:
        resolve(f"old @ git+{address}@main")
    assert "install git on this host" in caught.value.hint


def test_source_archive_that_was_changed(resolve, index, tmp_path, settings, site):
    index.publish("old", "old-1.0.tar.gz", sdist(tmp_path / "ran", **{"PKG-INFO": PKG_INFO}))
    site.files["/files/old-1.0.tar.gz"] = sdist(tmp_path / "ran", **{"PKG-INFO": PKG_INFO, "more": "x"})
    with Fetcher(tmp_path / "archives", settings) as fetcher, pytest.raises(HashMismatchError):
        resolve("old", fetcher=fetcher)


def test_source_archive_by_address_is_refused(resolve, index, tmp_path, settings, site):
    proof = tmp_path / "ran"
    index.publish("old", "old-1.0.tar.gz", sdist(proof, **{"PKG-INFO": PKG_INFO}))
    with (
        Fetcher(tmp_path / "archives", settings) as fetcher,
        pytest.raises(ResolutionError, match="no wheel of old fits"),
    ):
        resolve(f"old @ {site.url}/files/old-1.0.tar.gz", fetcher=fetcher)
    assert not proof.exists()


def test_older_version_with_a_wheel_is_preferred_to_a_newer_source(resolve, index, tmp_path, settings):
    index.add("old", "0.9")
    index.publish("old", "old-1.0.tar.gz", sdist(tmp_path / "ran", **{"PKG-INFO": PKG_INFO}))
    with Fetcher(tmp_path / "archives", settings) as fetcher:
        assert versions(resolve("old", fetcher=fetcher))["old"] == "0.9"


def test_wheel_for_another_python_only(resolve, index):
    index.add("native", "1.0", tag="cp312-cp312-manylinux_2_17_x86_64")
    with pytest.raises(ResolutionError, match="native"):
        resolve("native")


def test_architecture_without_a_wheel(resolve, index):
    index.add("native", "1.0", tag="cp313-cp313-manylinux_2_17_x86_64")
    assert versions(resolve("native"))["native"] == "1.0"
    with pytest.raises(ResolutionError, match="native"):
        resolve("native", architectures=("arm64",))


def project(folder, name="pkg", **table):
    (folder / name).mkdir()
    lines = "\n".join(f"{key.replace('_', '-')} = {value}" for key, value in table.items())
    (folder / name / "pyproject.toml").write_text(
        f"[project]\nname = '{name}'\n{lines}\n[build-system]\nrequires = ['hatchling']\n"
    )


def test_local_package_with_static_metadata(resolve, index, folder):
    index.add("alpha", "1.0")
    index.add("beta", "1.0")
    project(folder, version="'1.0'", dependencies="['alpha']", optional_dependencies="{ more = ['beta'] }")
    found = resolve("./pkg[more] ; sys_platform == 'linux'")
    assert versions(found).keys() == {"alpha", "beta", "ipykernel", "pkg"}
    (entry,) = [package for package in found.pylock["packages"] if package["name"] == "pkg"]
    assert entry["directory"] == {"path": "pkg"}


@pytest.mark.parametrize(
    ("table", "cause"),
    [
        ({"version": "'1'", "dynamic": "['dependencies']"}, "dynamic dependencies"),
        ({"dynamic": "['version']"}, "dynamic version"),
    ],
)
def test_local_package_that_would_have_to_be_run(resolve, folder, table, cause):
    project(folder, **table)
    with pytest.raises(ResolutionError, match=cause) as caught:
        resolve("./pkg")
    assert "./pkg" in str(caught.value)


def test_local_package_without_a_project_table(resolve, folder):
    (folder / "pkg").mkdir()
    (folder / "pkg" / "setup.py").write_text("raise SystemExit(1)")
    with pytest.raises(ResolutionError, match=r"no pyproject.toml with a"):
        resolve("./pkg")


def test_local_wheel(resolve, index, folder, site):
    index.add("alpha", "1.0")
    (folder / "alpha-1.0-py3-none-any.whl").write_bytes(site.files["/files/alpha-1.0-py3-none-any.whl"])
    found = resolve("./alpha-1.0-py3-none-any.whl")
    (entry,) = [package for package in found.pylock["packages"] if package["name"] == "alpha"]
    digest = hashlib.sha256(site.files["/files/alpha-1.0-py3-none-any.whl"]).hexdigest()
    assert entry["archive"] == {"path": "alpha-1.0-py3-none-any.whl", "hashes": {"sha256": digest}}


def test_configuration_beside_the_spec_has_no_say(resolve, index, folder):
    index.add("alpha", "1.0")
    (folder / "uv.toml").write_text('index-url = "http://127.0.0.1:1/simple"\nno-such-key = 1\n')
    (folder / "pyproject.toml").write_text('[tool.uv]\nindex-url = "http://127.0.0.1:1/simple"\n')
    assert versions(resolve("alpha"))["alpha"] == "1.0"


def test_index_that_does_not_answer(resolve, index, monkeypatch):
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(UnreachableError, match="does not answer"):
        resolve("alpha @ http://127.0.0.1:1/alpha-1.0-py3-none-any.whl")


def test_offline(resolve, index):
    with pytest.raises(UnreachableError, match="offline"):
        resolve("alpha", offline=True)


def foreign(folder, *packages, **fields):
    from jupyter_containers.lock.filetext import dump

    file = folder / "pylock.toml"
    file.write_text(dump({"lock-version": "1.0", "created-by": "another", **fields, "packages": list(packages)}))
    return file


def test_foreign_lock_is_adopted_and_ipykernel_added_within_its_bounds(resolve, index, folder, site):
    index.add("ipykernel", "8.0.0", "shared>=1")
    digest = index.add("shared", "1.0")
    index.add("shared", "2.0")
    wheel = {"url": f"{site.url}/files/shared-1.0-py3-none-any.whl", "hashes": {"sha256": digest}}
    file = foreign(folder, {"name": "shared", "version": "1.0", "wheels": [wheel]})
    found = resolve(pylock=file)
    assert versions(found) == {"ipykernel": "8.0.0", "shared": "1.0"}


def test_foreign_lock_that_is_broken(resolve, folder):
    file = foreign(folder, {"name": "x", "version": "1"})
    with pytest.raises(SpecError, match="cannot be adopted"):
        resolve(pylock=file)
    file.write_text("[[packages")
    with pytest.raises(SpecError, match="cannot read"):
        resolve(pylock=file)


def test_uv_lock_is_exported_and_the_folder_left_as_it_was(resolve, index, folder, tmp_path):
    import subprocess

    from jupyter_containers.lock.uv import uv_path

    index.add("alpha", "1.0")
    index.add("beta", "1.0")
    (folder / "pyproject.toml").write_text(
        "[project]\nname = 'mine'\nversion = '1'\nrequires-python = '>=3.11'\ndependencies = ['alpha', 'ipykernel']\n"
        f"[dependency-groups]\nextra = ['beta']\n[[tool.uv.index]]\nurl = '{index.url}'\ndefault = true\n"
    )
    subprocess.run(
        [uv_path(), "lock", "--cache-dir", tmp_path / "uv-lock", "--no-python-downloads"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert versions(resolve(pylock=folder / "uv.lock")) == {"alpha": "1.0", "ipykernel": "7.0.0"}
    assert versions(resolve(pylock=folder / "uv.lock", groups=("extra",))) == {
        "alpha": "1.0",
        "beta": "1.0",
        "ipykernel": "7.0.0",
    }
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("variable", ["UV_NO_CONFIG", "UV_CONFIG_FILE"])
def test_bounds_hold_whatever_configuration_the_user_chose(resolve, index, monkeypatch, tmp_path, variable):
    """`gamma` is nowhere: only a resolution that is bound to Linux does not miss it."""
    (tmp_path / "uv.toml").write_text('prerelease = "allow"\n')
    monkeypatch.setenv(variable, str(tmp_path / "uv.toml") if variable == "UV_CONFIG_FILE" else "1")
    index.add("alpha", "1.0", "gamma; sys_platform == 'win32'")
    index.add("alpha", "2.0rc1")
    expected = "2.0rc1" if variable == "UV_CONFIG_FILE" else "1.0"
    assert versions(resolve("alpha"))["alpha"] == expected


def test_shell_variables_that_would_change_the_result_are_dropped():
    given = {
        "UV_PYTHON": "3.9",
        "VIRTUAL_ENV": "/v",
        "UV_INDEX_URL": "https://i",
        "HTTPS_PROXY": "http://p",
        "UV_CONSTRAINT": "c",
        "COLUMNS": "80",
        "PATH": "/bin",
    }
    kept = uv_environment(given)
    assert {"UV_PYTHON", "VIRTUAL_ENV", "UV_CONSTRAINT", "COLUMNS"}.isdisjoint(kept)
    assert kept["UV_INDEX_URL"] == "https://i" and kept["HTTPS_PROXY"] == "http://p"
