"""Images shipped by us, and read by other people's programs, and the other way round."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_containers.errors import ConflictError, NotFoundError, RegistryError
from jupyter_containers.image.credentials import Credentials
from jupyter_containers.image.digest import sha256_of
from jupyter_containers.image.enclosed import load_all
from jupyter_containers.image.layout import host_architecture
from jupyter_containers.image.model import (
    INDEX_TYPE,
    Descriptor,
    ExecutionConfig,
    Image,
    ImageConfig,
    Index,
    Platform,
    encode,
)
from jupyter_containers.image.pull import pull
from jupyter_containers.image.push import push
from jupyter_containers.image.registry import Registry
from jupyter_containers.image.registry_auth import Credential
from jupyter_containers.image.registry_copy import copy_image, list_tags
from jupyter_containers.image.registry_settings import RegistrySettings
from jupyter_containers.image.repository import Document, Repository
from jupyter_containers.image.saving import Format, save_images
from jupyter_containers.image.store import Store
from jupyter_containers.image.tree import remove_tree

SETTINGS = RegistrySettings()
MakeImage = Callable[..., Image]
Run = Callable[..., str]


@pytest.fixture
def make_store(tmp_path: Path) -> Iterator[Callable[[], Store]]:
    made: list[Path] = []

    def new() -> Store:
        made.append(tmp_path / f"store{len(made)}")
        return Store(made[-1])

    yield new
    for path in made:
        remove_tree(path)


@pytest.fixture
def store(make_store: Callable[[], Store]) -> Store:
    return make_store()


@pytest.fixture
def make_image(store: Store) -> MakeImage:
    """An image with a layer for each mapping of files; one name is another file's hard link, one a symbolic link."""

    def made(*layers: dict[str, bytes], architecture: str = "", **execution: object) -> Image:
        committed = []
        for files in layers:
            with store.staging() as staging:
                for name, data in files.items():
                    path = staging.fs / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(data)
                    path.chmod(0o755)
                first = staging.fs / next(iter(files))
                os.link(first, staging.fs / "same")
                (staging.fs / "link").symlink_to("same")
                committed.append(store.commit_layer(staging.fs, created_by=f"made {first.name}"))
        config = ImageConfig(
            architecture=architecture or host_architecture(),
            config=ExecutionConfig(env=("A=1",), **execution),  # type: ignore[arg-type]
        )
        return store.put_image(config, committed)

    return made


@pytest.fixture
def image(make_image: MakeImage) -> Image:
    """Its second layer is longer than what is sent in one request."""
    return make_image({"etc/motd": b"hello"}, {"data": random.Random(3).randbytes(6_000_000)})


def test_skopeo_reads_what_we_push(
    store: Store, image: Image, registry: str, skopeo: Run, make_store: Callable[[], Store], tmp_path: Path
) -> None:
    pushed = push(store, image, f"{registry}/we/push:1", settings=SETTINGS)
    seen = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{registry}/we/push:1"))
    assert seen["Digest"] == pushed.digest
    assert (seen["Os"], seen["Architecture"], seen["Env"]) == ("linux", host_architecture(), ["A=1"])
    # skopeo compares each layer with its diff_id where it has to unpack it: a docker archive holds plain tars.
    skopeo("copy", "--src-tls-verify=false", f"docker://{registry}/we/push:1", f"docker-archive:{tmp_path}/d.tar:x:1")
    skopeo("copy", "--src-tls-verify=false", f"docker://{registry}/we/push:1", f"oci-archive:{tmp_path}/o.tar:x:1")
    elsewhere = make_store()
    ((first, names),) = load_all(elsewhere, tmp_path / "d.tar")
    ((second, _),) = load_all(elsewhere, tmp_path / "o.tar")
    assert first.digest == second.digest == image.digest
    assert [name.rpartition("/")[2] for name in names] == ["x:1"]
    assert second.manifest_digest == pushed.digest


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_saved_image_is_the_pushed_one(
    store: Store, image: Image, registry: str, skopeo: Run, tmp_path: Path, make_store: Callable[[], Store],
    compression: str,
) -> None:  # fmt: skip
    """Pushed by us, or saved by us and pushed by skopeo: the manifest's digest is one."""
    (saved,) = save_images(store, [(image, ("x:1",))], tmp_path / "x.tar", compression=compression)  # type: ignore[arg-type]
    target = f"{registry}/saved/{compression}"
    skopeo("copy", "--dest-tls-verify=false", f"oci-archive:{tmp_path}/x.tar", f"docker://{target}:by-skopeo")
    pushed = push(store, image, f"{target}:by-us", settings=SETTINGS, compression=compression)  # type: ignore[arg-type]
    assert (pushed.sent, pushed.present) == (0, 3)
    pulled = pull(make_store(), f"{target}:by-skopeo", settings=SETTINGS)
    assert saved.digest == pushed.digest == pulled.digest
    assert pulled.image.digest == image.digest


@pytest.mark.parametrize("form", ["oci-archive", "oci", "docker-archive"])
@pytest.mark.parametrize("compression", [None, "zstd"])
def test_several_images_in_one_file(
    store: Store, make_image: MakeImage, skopeo: Run, tmp_path: Path, make_store: Callable[[], Store],
    form: Format, compression: str | None,
) -> None:  # fmt: skip
    one, two = make_image({"a": b"1"}), make_image({"a": b"1"}, {"b": b"2"})
    path = tmp_path / "file"
    images = [(one, ("one:1", "r.example/one:2")), (two, ("two:latest",))]
    save_images(store, images, path, form=form, compression=compression)  # type: ignore[arg-type]
    found = {image.digest: names for image, names in load_all(make_store(), path)}
    assert found == {one.digest: ("one:1", "r.example/one:2"), two.digest: ("two:latest",)}
    seen = json.loads(skopeo("inspect", "--config", f"{form}:{path}:two:latest"))
    assert seen["rootfs"]["diff_ids"] == [layer.diff_id for layer in two.layers]
    if form == "oci":
        with pytest.raises(ConflictError, match="there already"):
            save_images(store, images, path, form=form)
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


def test_we_read_what_skopeo_pushes(
    store: Store, image: Image, registry: str, skopeo: Run, tmp_path: Path, make_store: Callable[[], Store]
) -> None:
    """As docker's schema 2 and with blobs that skopeo compressed."""
    save_images(store, [(image, ("x:1",))], tmp_path / "x", form="oci", compression="none")
    for form in ("v2s2", "oci"):
        target = f"{registry}/skopeo/{form}:1"
        skopeo("copy", "--dest-tls-verify=false", f"--format={form}", f"oci:{tmp_path}/x:x:1", f"docker://{target}")
        elsewhere = make_store()
        pulled = pull(elsewhere, target, settings=SETTINGS)
        assert [layer.diff_id for layer in pulled.image.layers] == [layer.diff_id for layer in image.layers]
        assert json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{target}"))["Digest"] == pulled.digest
        # Under another name in the same registry: not a byte of a layer is sent, and the digest stays.
        again = push(elsewhere, pulled.image, f"{registry}/again/{form}:1", settings=SETTINGS)
        assert (again.digest, again.original, again.sent) == (pulled.digest, True, 0)
        assert again.mounted == 3
        # In another form it is not the same any more, and the layers are.
        anew = push(elsewhere, pulled.image, f"{registry}/anew/{form}:1", settings=SETTINGS, compression="zstd")
        assert anew.digest != pulled.digest
        assert pull(make_store(), f"{registry}/anew/{form}:1", settings=SETTINGS).image.digest == pulled.image.digest


def test_only_what_is_missing_moves(
    store: Store, make_image: MakeImage, registry: str, make_store: Callable[[], Store]
) -> None:
    base = {"base": random.Random(4).randbytes(100_000)}
    first = push(store, make_image(base), f"{registry}/moves/a:1", settings=SETTINGS)
    assert (first.sent, first.mounted, first.present) == (2, 0, 0)
    larger = make_image(base, {"more": b"more"})
    second = push(store, larger, f"{registry}/moves/a:2", settings=SETTINGS)
    assert (second.sent, second.mounted, second.present) == (2, 0, 1)
    third = push(store, larger, f"{registry}/moves/b:1", settings=SETTINGS)
    assert (third.sent, third.mounted, third.present) == (0, 3, 0)
    elsewhere = make_store()
    assert pull(elsewhere, f"{registry}/moves/a:1", settings=SETTINGS).moved == 1
    assert pull(elsewhere, f"{registry}/moves/a:2", settings=SETTINGS).moved == 1
    assert pull(elsewhere, f"{registry}/moves/b:1", settings=SETTINGS).moved == 0
    assert sorted(list_tags(f"{registry}/moves/a", settings=SETTINGS)) == ["1", "2"]
    with pytest.raises(NotFoundError, match="unknown"):
        pull(elsewhere, f"{registry}/moves/a:3", settings=SETTINGS)


def test_an_index_is_copied_whole(
    store: Store, make_image: MakeImage, registry: str, locked_registry: str, skopeo: Run,
    make_store: Callable[[], Store],
) -> None:  # fmt: skip
    target = f"{registry}/many/platforms"
    entries = []
    for architecture in ("amd64", "arm64"):
        image = make_image({"arch": architecture.encode()}, architecture=architecture)
        push(store, image, f"{target}:{architecture}", settings=SETTINGS)
        with Registry(registry, SETTINGS) as spoken:
            found = Repository(spoken, "many/platforms").manifest(architecture).descriptor
        platform = Platform(architecture=architecture, os="linux")
        entries.append(Descriptor(media_type=found.media_type, digest=found.digest, size=found.size, platform=platform))
    data = encode(Index(schema_version=2, manifests=tuple(entries)))
    index = Document(Descriptor(media_type=INDEX_TYPE, digest=sha256_of(data), size=len(data)), data)
    with Registry(registry, SETTINGS) as spoken:
        Repository(spoken, "many/platforms", writing=True).put_manifest(index, "1")
    copied = copy_image(
        f"{target}:1", f"{locked_registry}/copied:1", settings=SETTINGS, credential=lambda _: Credential("ann", "word")
    )
    assert (copied.digest, copied.manifests, copied.sent) == (index.descriptor.digest, 3, 4)
    seen = skopeo("inspect", "--raw", "--tls-verify=false", "--creds=ann:word", f"docker://{locked_registry}/copied:1")
    assert seen.encode() == data
    elsewhere = make_store()
    for architecture in ("amd64", "arm64"):
        pulled = pull(elsewhere, f"{target}:1", settings=SETTINGS, architecture=architecture)
        assert pulled.image.config.architecture == architecture
        assert (pulled.image.layers[0].path / "arch").read_bytes() == architecture.encode()
    assert copy_image(f"{target}:1", f"{registry}/mounted:1", settings=SETTINGS).sent == 0


def test_logins(
    store: Store, image: Image, locked_registry: str, make_store: Callable[[], Store], tmp_path: Path
) -> None:
    name = f"{locked_registry}/locked:1"
    with pytest.raises(RegistryError, match="asks for a login, and there is none"):
        push(store, image, name, settings=SETTINGS)
    with pytest.raises(RegistryError, match="'ann' with that password is not let in"):
        push(store, image, name, settings=SETTINGS, credential=lambda _: Credential("ann", "wrong"))
    docker = tmp_path / "docker"
    docker.mkdir()
    (docker / "config.json").write_text(json.dumps({"auths": {locked_registry: {"auth": "YW5uOndvcmQ="}}}))
    logins = Credentials.current({"HOME": str(tmp_path), "DOCKER_CONFIG": str(docker)})
    push(store, image, name, settings=SETTINGS, credential=logins.find)
    assert pull(make_store(), name, settings=SETTINGS, credential=logins.find).image.digest == image.digest


def test_docker_reads_ours_and_we_read_dockers(
    store: Store, make_image: MakeImage, registry: str, docker: Run, busybox: Path, tmp_path: Path,
    make_store: Callable[[], Store],
) -> None:  # fmt: skip
    image = make_image({"bin/busybox": busybox.read_bytes()}, cmd=("/bin/busybox", "echo", "from the image"))
    name = f"{registry}/with/docker:1"
    push(store, image, name, settings=SETTINGS)
    save_images(store, [(image, ("ship-test:1",))], tmp_path / "x.tar", form="docker-archive")
    try:
        docker("pull", "-q", name)
        assert docker("image", "inspect", "-f", "{{.Id}}", name) == image.digest
        docker("load", "-q", "-i", str(tmp_path / "x.tar"))
        assert docker("image", "inspect", "-f", "{{.Id}}", "ship-test:1") == image.digest
        docker("tag", "ship-test:1", f"{registry}/from/docker:1")
        docker("push", "-q", f"{registry}/from/docker:1")
        docker("save", "-o", str(tmp_path / "saved.tar"), "ship-test:1")
    finally:
        for tag in (name, "ship-test:1", f"{registry}/from/docker:1"):
            subprocess.run(["docker", "rmi", "-f", tag], capture_output=True, check=False)
    elsewhere = make_store()
    assert pull(elsewhere, f"{registry}/from/docker:1", settings=SETTINGS).image.digest == image.digest
    ((loaded, names),) = load_all(elsewhere, tmp_path / "saved.tar")
    assert (loaded.digest, names) == (image.digest, ("ship-test:1",))


def test_commands(store: Store, make_image: MakeImage, locked_registry: str, busybox: Path, tmp_path: Path) -> None:
    """From the command line: login, push, pull on another machine, run, save, load, names."""
    runtime = tmp_path.parent / "r"
    env = os.environ | {
        "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config"), "DOCKER_CONFIG": str(tmp_path / "docker"),
        "JUPYTER_CONTAINERS_RUNTIME_DIR": str(runtime),
    }  # fmt: skip

    def command(*argv: str, home: str = "a", status: int = 0, stdin: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-m", "jupyter_containers", *argv], input=stdin, capture_output=True, text=True,
            env=env | {"JUPYTER_CONTAINERS_HOME": str(tmp_path / home)}, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stderr
        assert "word-of-ann" not in done.stdout + done.stderr
        return done.stdout if status == 0 else done.stderr

    image = make_image({"bin/busybox": busybox.read_bytes()}, cmd=("/bin/busybox", "echo", "from the image"))
    save_images(store, [(image, ("box:1",))], tmp_path / "box.tar")
    assert command("load", "-i", str(tmp_path / "box.tar")) == f"{image.digest}  box:1\n"
    name = f"{locked_registry}/commands/box:1"
    assert "no registry" in command("push", "box:1", status=2)
    assert "login" in command("push", "box:1", name, status=1)
    assert "not let in" in command(
        "login", locked_registry, "-u", "ann", "--password-stdin", stdin="word-of-ann\n", status=1
    )
    assert not (tmp_path / "config/jupyter-containers/auth.json").exists()
    command("login", locked_registry, "-u", "ann", "--password-stdin", stdin="word\n")
    pushed = json.loads(command("push", "box:1", name, "--json"))
    assert json.loads(command("pull", name, "--json", home="b"))["digest"] == pushed["digest"]
    assert command("run", "--rm", name, home="b") == "from the image\n"
    assert command("run", "--rm", name, "/bin/busybox", "echo", "else", home="b") == "else\n"
    assert command("search-tags", f"{locked_registry}/commands/box") == "1\n"
    assert command("tag", name, "mine", home="b") == "mine:latest\n"
    assert command("save", "mine", "-o", str(tmp_path / "mine.tar"), home="b").strip() == pushed["digest"]
    assert "made busybox" in command("history", "mine", home="b")
    assert command("rmi", "mine", home="b") == "untagged mine\n"
    assert command("rmi", name, home="b") == f"removed {image.digest}\n"
    copied = json.loads(command("copy", name, f"{locked_registry}/commands/copy:2", "--json"))
    assert (copied["digest"], copied["sent"]) == (pushed["digest"], 0)
    assert command("logout", locked_registry) == f"logged out of {locked_registry}\n"
    assert "login" in command("pull", name, status=1, home="c")
