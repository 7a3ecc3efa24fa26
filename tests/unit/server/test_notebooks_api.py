"""``notebooks``: nothing happens before trust is said; the rest is tests/unit/test_carrying.py's."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_containers.carried import Carried
from jupyter_containers.carrying import Carrying, Checked, Taken

METADATA = {"version": 1, "name": "thesis", "spec": "", "lock": "", "digest": "sha256:" + "0" * 64}


@pytest.fixture
def taken(monkeypatch):
    """What was opened."""
    found = []

    def open(self, metadata, *, control=None):
        found.append(metadata)
        return Taken(environment="thesis", digest="d", expected="d", same=True, how="built")

    monkeypatch.setattr(Carrying, "open", open)
    return found


async def test_carry(api, monkeypatch):
    monkeypatch.setattr(Carrying, "carry", lambda self, name, references: Carried(**METADATA, references=references))
    body = {"environment": "thesis", "references": ["ghcr.io/me/thesis"]}
    _, answer, _ = await api("notebooks", "carry", method="POST", body=body)
    assert answer == {"metadata": {**METADATA, "references": ["ghcr.io/me/thesis"]}}


async def test_carry_of_what_is_not_there(api, spec):
    assert (await api("notebooks", "carry", method="POST", body={"environment": "nobody"}))[0] == 404
    await api("environments", method="POST", body={"path": "demo"})
    status, refused, _ = await api("notebooks", "carry", method="POST", body={"environment": "demo"})
    assert (status, refused["reason"]) == (409, "ConflictError")


async def test_check(api, monkeypatch):
    checked = Checked(state="missing", environment="thesis", would=("install six",))
    monkeypatch.setattr(Carrying, "check", lambda self, metadata: checked)
    _, answer, _ = await api("notebooks", "check", method="POST", body={"metadata": METADATA})
    assert (answer["state"], answer["would"], answer["trusted"]) == ("missing", ["install six"], False)


async def test_a_whole_lock_fits_into_a_request(api):
    body = {"metadata": {**METADATA, "lock": "x" * (3 << 20)}}
    status, answer, _ = await api("notebooks", "check", method="POST", body=body)
    assert (status, answer["state"]) == (200, "invalid")
    body = {"metadata": {**METADATA, "lock": "x" * (17 << 20)}}
    assert (await api("notebooks", "check", method="POST", body=body))[0] == 413


@pytest.mark.parametrize("body", [{"metadata": METADATA}, {"metadata": METADATA, "trust": False}])
async def test_nothing_is_opened_without_trust(api, taken, body):
    status, refused, _ = await api("notebooks", "open", method="POST", body=body)
    assert (status, refused["reason"]) == (400, "InputError")
    assert taken == []


async def test_open(api, taken):
    status, job, _ = await api("notebooks", "open", method="POST", body={"metadata": METADATA, "trust": True})
    assert (status, job["kind"]) == (202, "open")
    while (view := (await api("jobs", job["id"]))[1])["state"] in ("queued", "running"):
        await asyncio.sleep(0.01)
    assert view["result"] == {"environment": "thesis", "digest": "d", "expected": "d", "same": True, "how": "built"}
    assert taken == [METADATA]
