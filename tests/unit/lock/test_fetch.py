from __future__ import annotations

import hashlib
import threading

import msgspec
import pytest

from jupyter_containers.errors import ArchiveError, CancelledError, HashMismatchError, UnreachableError
from jupyter_containers.lock.fetch import Download, Fetcher


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def fetcher(tmp_path, settings, own_environment):
    with Fetcher(tmp_path / "cache", settings) as made:
        yield made


def test_object_is_stored_under_its_hash_and_fetched_once(site, fetcher):
    site.files["/a"] = b"content"
    path = fetcher.fetch([f"{site.url}/a"], sha256(b"content"), 7)
    assert path.read_bytes() == b"content" and path.name == sha256(b"content")
    assert fetcher.fetch([f"{site.url}/a"], sha256(b"content")) == path
    assert site.counts()["/a"] == 1
    assert list((fetcher.cache / "partial").iterdir()) == []


def test_many_in_the_order_asked_with_progress(site, fetcher):
    contents = [bytes([number]) * (number * 1000 + 1) for number in range(20)]
    seen = []
    for number, content in enumerate(contents):
        site.files[f"/{number}"] = content
    items = [
        Download((f"{site.url}/{number}",), sha256(content), len(content)) for number, content in enumerate(contents)
    ]
    paths = fetcher.fetch_many(items, what="things", progress=lambda *event: seen.append(event))
    assert [path.read_bytes() for path in paths] == contents
    total = sum(map(len, contents))
    assert seen[-1] == ("things", total, total) and [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


def test_next_mirror_after_a_404_and_after_silence(site, fetcher):
    site.files["/second"] = b"x"
    urls = ["http://127.0.0.1:1/first", f"{site.url}/missing", f"{site.url}/second"]
    assert fetcher.fetch(urls, sha256(b"x")).read_bytes() == b"x"


def test_nobody_has_it(site, fetcher):
    with pytest.raises(ArchiveError, match="no mirror has /missing") as caught:
        fetcher.fetch([f"{site.url}/missing"], sha256(b"x"))
    assert not isinstance(caught.value, UnreachableError)
    assert site.counts()["/missing"] == 1  # a final no is not asked again


def test_nobody_answers(fetcher):
    with pytest.raises(
        UnreachableError, match=r"no answer from 127\.0\.0\.1 after 2 tries.*mirrors from the test"
    ) as caught:
        fetcher.fetch(["http://127.0.0.1:1/x"], sha256(b"x"))
    assert "JUPYTER_CONTAINERS_DEBIAN_MIRROR" in caught.value.hint and "OFFLINE" in caught.value.hint


def test_server_error_is_tried_again(site, fetcher):
    site.files["/a"] = b"x"
    answers = [(503, {"Retry-After": "0"})]
    site.trouble.append(lambda path: answers.pop() if answers else None)
    assert fetcher.fetch([f"{site.url}/a"], sha256(b"x")).read_bytes() == b"x"


def test_wrong_content_is_refused_and_not_kept(site, fetcher):
    site.files["/a"] = b"evil"
    with pytest.raises(HashMismatchError, match=f"{site.url}/a: its sha256 is {sha256(b'evil')}"):
        fetcher.fetch([f"{site.url}/a"], sha256(b"good"), 4)
    assert fetcher.cached(sha256(b"good")) is None


def test_wrong_content_of_one_mirror_leads_to_the_next(site, fetcher):
    site.files["/bad"], site.files["/good"] = b"evil", b"good"
    assert fetcher.fetch([f"{site.url}/bad", f"{site.url}/good"], sha256(b"good"), 4).read_bytes() == b"good"


def test_more_bytes_than_promised(site, fetcher):
    site.files["/a"] = b"x" * 100_000
    with pytest.raises(HashMismatchError, match="longer than the 10 bytes"):
        fetcher.fetch([f"{site.url}/a"], sha256(b"x"), 10)


def test_broken_transfer_goes_on_where_it_stopped(site, fetcher):
    content = bytes(range(256)) * 4000
    site.files["/a"] = content
    site.cut["/a"] = 600_000
    assert fetcher.fetch([f"{site.url}/a"], sha256(content), len(content)).read_bytes() == content
    assert len(site.ranges) == 1 and 0 < int(site.ranges[0][6:-1]) <= 600_000


def test_part_of_another_file_does_no_harm(site, fetcher):
    content = b"abcdef" * 100
    part = fetcher.cache / "partial" / sha256(content)
    part.parent.mkdir(parents=True)
    part.write_bytes(b"something else")
    site.files["/a"] = content
    assert fetcher.fetch([f"{site.url}/a"], sha256(content), len(content)).read_bytes() == content
    assert fetcher.cached(sha256(content)).read_bytes() == content


def test_whole_part_needs_no_request(site, fetcher):
    content = b"abcdef"
    part = fetcher.cache / "partial" / sha256(content)
    part.parent.mkdir(parents=True)
    part.write_bytes(content)
    assert fetcher.fetch([f"{site.url}/a"], sha256(content), 6).read_bytes() == content
    assert site.asked == []


def test_two_fetchers_of_one_object(site, settings, tmp_path, own_environment):
    content = bytes(300_000)
    site.files["/a"] = content
    results = []

    def work():
        with Fetcher(tmp_path / "cache", settings) as fetcher:
            results.append(fetcher.fetch([f"{site.url}/a"], sha256(content), len(content)).read_bytes())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [content] * 4
    assert list((tmp_path / "cache" / "partial").iterdir()) == []


def test_document_is_asked_for_again_but_not_sent_again(site, fetcher):
    site.files["/d"] = b"one"
    assert fetcher.document([f"{site.url}/d"]).content == b"one"
    assert fetcher.document([f"{site.url}/d"]).content == b"one"
    assert site.counts()["/d"] == 2
    site.files["/d"] = b"two"
    assert fetcher.document([f"{site.url}/d"]).content == b"two"
    assert fetcher.document([f"{site.url}/none"]) is None


def test_document_that_does_not_end(site, fetcher):
    site.files["/d"] = bytes(5000)
    with pytest.raises(ArchiveError, match="larger than 1000 bytes"):
        fetcher.document([f"{site.url}/d"], max_bytes=1000)


def test_offline_uses_the_cache_and_nothing_else(site, settings, tmp_path, own_environment):
    site.files["/d"], site.files["/a"] = b"doc", b"x"
    with Fetcher(tmp_path / "cache", settings) as fetcher:
        fetcher.document([f"{site.url}/d"])
        fetcher.fetch([f"{site.url}/a"], sha256(b"x"))
    site.asked.clear()
    with Fetcher(tmp_path / "cache", msgspec.structs.replace(settings, offline=True)) as fetcher:
        assert fetcher.document([f"{site.url}/d"]).content == b"doc"
        assert fetcher.fetch([f"{site.url}/a"], sha256(b"x")).read_bytes() == b"x"
        with pytest.raises(UnreachableError, match="offline"):
            fetcher.document([f"{site.url}/other"])
        with pytest.raises(UnreachableError, match="offline"):
            fetcher.fetch([f"{site.url}/b"], sha256(b"y"))
    assert site.asked == []


def test_interrupt_ends_all_transfers_and_keeps_what_came(site, fetcher):
    content = bytes(4_000_000)
    site.files["/a"] = content

    def interrupt(what, done, total):
        if done > 500_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetcher.fetch([f"{site.url}/a"], sha256(content), len(content), progress=interrupt)
    (part,) = (fetcher.cache / "partial").iterdir()
    assert 0 < part.stat().st_size < len(content)
    assert fetcher.fetch([f"{site.url}/a"], sha256(content), len(content)).read_bytes() == content
    assert site.ranges


def test_closed_fetcher_stops(site, settings, tmp_path, own_environment):
    fetcher = Fetcher(tmp_path / "cache", settings)
    site.trouble.append(lambda path: (503, {}))
    threading.Timer(0.1, fetcher.close).start()
    with pytest.raises((CancelledError, UnreachableError, RuntimeError)):
        fetcher.fetch([f"{site.url}/a"], sha256(b"x"))


def test_password_of_a_mirror_is_not_told(fetcher):
    with pytest.raises(UnreachableError) as caught:
        fetcher.fetch(["http://someone:secret@127.0.0.1:1/x"], sha256(b"x"))
    assert "secret" not in str(caught.value)
