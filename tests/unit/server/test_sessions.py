"""A notebook's session that changes its kernel, while it ends or is changed once more: each kernel belongs to one."""

from __future__ import annotations

import asyncio
import json

import pytest
from tornado.httpclient import HTTPClientError


@pytest.fixture
def ask(jp_fetch):
    """``await ask("POST", …)`` → status and decoded body."""

    async def ask(method: str, *path: str, body=None):
        try:
            response = await jp_fetch("api", "sessions", *path, method=method, body=body and json.dumps(body))
        except HTTPClientError as error:
            response = error.response
        return response.code, json.loads(response.body) if response.body else None

    return ask


@pytest.fixture
def session(kernel, ask, jp_serverapp, jp_asyncio_loop):
    """With its first kernel; the next one's start waits for ``kernel.go``."""
    kernel.go.set()
    body = {"path": "a.ipynb", "type": "notebook", "name": "a", "kernel": {"name": "boxed"}}
    _, made = jp_asyncio_loop.run_until_complete(ask("POST", body=body))
    kernel.go.clear()
    yield made
    kernel.go.set()
    jp_asyncio_loop.run_until_complete(jp_serverapp.kernel_manager.shutdown_all(now=True))


@pytest.fixture
def change(ask, session, jp_serverapp):
    """Ask for another kernel; returns once its start waits, with what will be answered."""
    manager = jp_serverapp.kernel_manager

    async def change():
        known = len(manager.list_kernel_ids())
        task = asyncio.ensure_future(ask("PATCH", session["id"], body={"kernel": {"name": "boxed"}}))
        while len(manager.list_kernel_ids()) == known:
            await asyncio.sleep(0.01)
        return task

    return change


async def test_a_change_of_kernel(kernel, session, ask, change, jp_serverapp):
    changing = await change()
    kernel.go.set()
    status, changed = await changing
    assert status == 200
    assert changed["kernel"]["id"] != session["kernel"]["id"]
    assert jp_serverapp.kernel_manager.list_kernel_ids() == [changed["kernel"]["id"]]


async def test_a_session_that_ends_meanwhile(kernel, session, ask, change, jp_serverapp):
    changing = await change()
    assert (await ask("DELETE", session["id"]))[0] == 204
    kernel.go.set()
    status, said = await changing
    assert status == 501
    assert "ended while its kernel was changed" in said["message"]
    assert jp_serverapp.kernel_manager.list_kernel_ids() == []


async def test_a_session_that_is_about_to_end(kernel, session, ask, change, jp_serverapp, monkeypatch):
    """Its kernel takes its time to end, and the new one is there before that."""
    manager = jp_serverapp.kernel_manager
    shut_down, go_on, first = manager.shutdown_kernel, asyncio.Event(), session["kernel"]["id"]

    async def slowly(kernel_id, **options):
        if kernel_id == first:
            await go_on.wait()
        await shut_down(kernel_id, **options)

    monkeypatch.setattr(manager, "shutdown_kernel", slowly)
    changing = await change()
    ending = asyncio.ensure_future(ask("DELETE", session["id"]))
    while session["id"] not in jp_serverapp.session_manager._ending:
        await asyncio.sleep(0.01)
    kernel.go.set()
    assert (await changing)[0] == 501
    go_on.set()
    assert (await ending)[0] == 204
    assert manager.list_kernel_ids() == []


async def test_the_last_of_two_changes(kernel, session, ask, change, jp_serverapp):
    changes = [await change(), await change()]
    kernel.go.set()
    (first, said), (second, changed) = await asyncio.gather(*changes)
    assert (first, second) == (501, 200)
    assert "once more" in said["message"]
    assert jp_serverapp.kernel_manager.list_kernel_ids() == [changed["kernel"]["id"]]
