from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pysequoia
import pytest

from jupyter_containers.errors import ArchiveError, HashMismatchError, SignatureError
from jupyter_containers.lock.archive import fetch_release, load_index, parse_release
from jupyter_containers.lock.fetch import Fetcher


@pytest.fixture
def fetcher(tmp_path, settings, own_environment):
    with Fetcher(tmp_path / "cache", settings) as made:
        yield made


def release(fetcher, suite="trixie", warnings=None, **options):
    told = [] if warnings is None else warnings
    return fetch_release(fetcher.settings.debian_archives, suite, fetcher, warn=told.append, **options)


def test_signed_suite_and_its_packages(debian, fetcher):
    debian.add("trixie", "alpha", "1")
    debian.publish("trixie", stable="stable")
    warnings = []
    found = release(fetcher, warnings=warnings)
    assert found.names == {"trixie", "stable"} and found.codename == "trixie" and not warnings
    (index,) = load_index(found, "main", "amd64", fetcher)
    assert [item.version for item in index.find("alpha")] == ["1"]


def test_index_is_not_downloaded_twice(debian, fetcher, site):
    debian.add("trixie", "alpha", "1")
    debian.publish("trixie")
    for _ in range(2):
        load_index(release(fetcher), "main", "amd64", fetcher)
    assert sum("Packages" in path or "by-hash" in path for path in site.asked) == 1


def test_suite_that_is_not_there(fetcher):
    assert release(fetcher, "trixie") is None
    with pytest.raises(ArchiveError, match="not the name"):
        release(fetcher, "../etc")


def test_unsigned_and_wrongly_signed(debian, fetcher):
    debian.add("trixie", "alpha", "1")
    debian.publish("trixie", sign=False)
    with pytest.raises(SignatureError, match=r"trixie of http://127\.0\.0\.1:\d+/debian is not signed"):
        release(fetcher)
    debian.publish("trixie", key=pysequoia.Tsk.generate("Mallory <m@example.org>"))
    with pytest.raises(SignatureError, match="signed by key"):
        release(fetcher)


def test_another_suite_in_its_place(debian, fetcher):
    debian.add("trixie", "alpha", "1")
    debian.publish("trixie", name="buster")
    with pytest.raises(SignatureError, match="answers with buster when asked for trixie"):
        release(fetcher)


def test_expired_is_a_warning_and_an_error_when_strict(debian, fetcher, settings, tmp_path):
    debian.add("trixie", "alpha", "1")
    debian.publish("trixie", date=time.time() - 30 * 86400)
    warnings = []
    assert release(fetcher, warnings=warnings) is not None
    assert len(warnings) == 1 and "23 days ago" in warnings[0]
    strict = msgspec.structs.replace(settings, strict_valid_until=True)
    with Fetcher(tmp_path / "other", strict) as other, pytest.raises(SignatureError, match="valid until"):
        release(other)


def test_from_the_future(debian, fetcher):
    debian.add("trixie", "alpha", "1")
    debian.publish("trixie", date=time.time() + 3 * 86400)
    with pytest.raises(SignatureError, match="in the future"):
        release(fetcher)


def test_index_that_is_not_the_signed_one(debian, fetcher, site):
    debian.add("trixie", "alpha", "1")
    debian.publish("trixie")
    for path in list(site.files):
        if "binary-amd64" in path:
            site.files[path] = site.files[path][:-1] + b"!"
    with pytest.raises(HashMismatchError):
        load_index(release(fetcher), "main", "amd64", fetcher)


def test_archive_without_by_hash(debian, fetcher, site):
    debian.add("trixie", "alpha", "1")
    debian.publish("trixie", by_hash=False)
    (index,) = load_index(release(fetcher), "main", "amd64", fetcher)
    assert len(index) == 1 and not any("by-hash" in path for path in site.asked)


def test_architecture_or_component_it_does_not_have(debian, fetcher):
    debian.add("trixie", "alpha", "1")
    debian.publish("trixie")
    with pytest.raises(ArchiveError, match=r"no packages of main for m68k in trixie") as caught:
        load_index(release(fetcher), "main", "m68k", fetcher)
    assert "amd64" in caught.value.hint


def test_fields_of_a_release():
    text = (
        "Codename: sid\nSuite: unstable\nArchitectures: all amd64\nComponents: main updates/contrib\n"
        "NotAutomatic: yes\nSHA256:\n AA 10 main/x\n"
    )
    found = parse_release(text, archive="http://a", suite="sid")
    assert found.files == {"main/x": ("aa", 10)} and found.optional and found.all_apart
    assert found.components == ("main", "contrib") and found.valid_until is None
    assert not parse_release(text + "No-Support-for-Architecture-all: Packages\n", archive="a", suite="sid").all_apart
    with pytest.raises(ArchiveError, match="no SHA256"):
        parse_release("Codename: sid\nMD5Sum:\n aa 1 x\n", archive="a", suite="sid")


def test_equal_lists_of_several_suites_at_the_same_time(debian, fetcher):
    names = [f"suite{number}" for number in range(6)]
    for name in names:
        debian.publish(name)  # all of them are empty: one content, one place in the cache
    found = [release(fetcher, name) for name in names]
    with ThreadPoolExecutor(len(names)) as pool:
        for _ in range(10):
            shutil.rmtree(fetcher.cache / "indexes", ignore_errors=True)
            loaded = list(pool.map(lambda each: load_index(each, "main", "amd64", fetcher), found))
            assert [len(index) for (index,) in loaded] == [0] * len(names)
