from __future__ import annotations

import msgspec
import pytest

from jupyter_containers.errors import InputError
from jupyter_containers.spec.catalog import Record
from jupyter_containers.spec.grants import check_granted, grant_of
from jupyter_containers.spec.load import load_spec


@pytest.fixture
def built(tmp_path):
    """What is remembered of a spec without network and mounts, and a function that rewrites the spec."""
    (tmp_path / "data").mkdir()

    def rewrite(text: str = ""):
        (tmp_path / "jupyter-container.toml").write_text(f'name = "lab"\n{text}\n')
        return load_spec(tmp_path)

    granted = grant_of(rewrite('[packages]\npip = ["six"]'))
    return Record(name="lab", display_name="lab", spec_file=str(tmp_path), granted=granted), rewrite


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('network = "full"', "network"),
        ('[[mounts]]\nsource = "/srv"\ntarget = "/x"', "/srv at /x"),
        ("[resources]\ngpus = 1", "GPUs"),
        ('[build]\nrun = ["curl localhost"]', "curl localhost"),
        ('base = "env:other"', "env:other"),
        ('[packages]\nindex-url = "https://example.org/simple"', "example.org"),
        ('[packages]\npip = ["x @ https://example.org/what-i-have-read.whl"]', "what-i-have-read"),
        ('[packages]\nconstraints = ["x @ git+https://example.org/x"]', "example.org/x"),
    ],
)
def test_a_spec_that_was_rewritten_gets_no_more_of_the_host(built, text, told):
    entry, rewrite = built
    with pytest.raises(InputError, match=told) as error:
        check_granted(entry, rewrite(text))
    assert "jupyter containers build lab" in error.value.hint
    # what the user agrees to by building is remembered
    check_granted(msgspec.structs.replace(entry, granted=grant_of(rewrite(text))), rewrite(text))


def test_what_stays_in_the_container_needs_no_agreement(built):
    entry, rewrite = built
    check_granted(entry, rewrite('[packages]\npip = ["six", "attrs"]\n[resources]\nmemory = "1G"'))


def test_a_mount_that_becomes_writable_is_a_new_one(built):
    entry, rewrite = built
    mount = '[[mounts]]\nsource = "data"\ntarget = "/data"\nmode = "{}"'
    entry = msgspec.structs.replace(entry, granted=grant_of(rewrite(mount.format("ro"))))
    check_granted(entry, rewrite())  # less is no matter
    with pytest.raises(InputError, match="rw"):
        check_granted(entry, rewrite(mount.format("rw")))


@pytest.mark.parametrize("text", ["", "[resources]\nmemory = '2G'", "[resources]\ncpus = 8"])
def test_a_limit_is_not_taken_off(built, text):
    entry, rewrite = built
    limited = rewrite('[resources]\nmemory = "1G"\npids = 100\ncpus = 2')
    entry = msgspec.structs.replace(entry, granted=grant_of(limited))
    check_granted(entry, rewrite('[resources]\nmemory = "512M"\npids = 50\ncpus = 2'))
    with pytest.raises(InputError, match="resources"):
        check_granted(entry, rewrite(text))


def test_who_was_never_asked_has_agreed_to_nothing(built):
    entry, rewrite = built
    never = msgspec.structs.replace(entry, granted=None)
    for one in (never, None):
        check_granted(one, rewrite('[packages]\npip = ["six"]'))
        with pytest.raises(InputError, match="has not been built by you") as error:
            check_granted(one, rewrite('network = "full"'))
        assert "jupyter containers explain" in error.value.hint
