"""Every route and method is authenticated, authorized and safe from forged requests; no GET changes anything."""

from __future__ import annotations

import json
import re
from typing import ClassVar
from urllib.parse import quote

import pytest
from jupyter_server.auth.authorizer import Authorizer
from tornado.httpclient import HTTPClientError

from jupyter_containers.server.handlers import ROUTES

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

CALLS = [
    (re.sub(r"\(\?P<\w+>[^)]*\)", "x", pattern).replace("\\", ""), method)
    for pattern, handler in ROUTES
    for method in METHODS
    if method.lower() in vars(handler)
]


class Denies(Authorizer):
    asked: ClassVar[list[tuple[str, str]]] = []

    def is_authorized(self, handler, user, action, resource):
        self.asked.append((action, resource))
        return False


@pytest.mark.parametrize(("path", "method"), CALLS)
async def test_without_authentication(extension, jp_fetch, path, method):
    assert await _status(jp_fetch, path, method, headers={"Authorization": "token wrong"}) == 403


class TestAuthorizer:
    @pytest.fixture
    def jp_server_config(self, jp_server_config):
        jp_server_config["ServerApp"]["authorizer_class"] = Denies
        return jp_server_config

    @pytest.mark.parametrize(("path", "method"), CALLS)
    async def test_that_denies(self, extension, jp_fetch, path, method):
        Denies.asked.clear()
        assert await _status(jp_fetch, path, method) == 403
        assert Denies.asked == [("read" if method == "GET" else "write", "containers")]


async def _log_in(jp_fetch, jp_serverapp) -> str:
    """The cookies of a browser that has logged in."""
    form = await jp_fetch("login", headers={"Authorization": ""})
    xsrf = _cookies(form)
    token = re.search(r'name="_xsrf" value="([^"]+)"', form.body.decode())
    assert token is not None
    body = f"_xsrf={quote(token[1])}&password={jp_serverapp.identity_provider.token}"
    with pytest.raises(HTTPClientError) as answer:
        await jp_fetch(
            "login", method="POST", body=body, follow_redirects=False, headers={"Authorization": "", "Cookie": xsrf}
        )
    assert answer.value.code == 302
    return f"{xsrf}; {_cookies(answer.value.response)}"


@pytest.mark.parametrize(("path", "method"), [call for call in CALLS if call[1] != "GET"])
async def test_change_by_cookie_needs_the_xsrf_token(extension, jp_fetch, jp_serverapp, monkeypatch, path, method):
    """Another site's form is sent with the browser's cookies, without the token that only this site's pages know."""
    monkeypatch.setenv("JUPYTER_CONTAINERS_OFFLINE", "1")  # one of the calls fetches the index's list of names
    cookie = await _log_in(jp_fetch, jp_serverapp)
    headers = {"Authorization": "", "Cookie": cookie}
    assert await _status(jp_fetch, "/version", "GET", headers=dict(headers)) == 200
    assert await _status(jp_fetch, path, method, headers=dict(headers)) == 403
    token = re.search(r"_xsrf=([^;]+)", cookie)
    assert await _status(jp_fetch, path, method, headers=headers | {"X-XSRFToken": token[1]}) in (200, 202, 400, 404)


def test_tables_are_complete():
    """Every handler has a GET, a POST, a PUT, a PATCH or a DELETE, and no other method of its own."""
    for pattern, handler in ROUTES:
        own = {name.upper() for name in vars(handler) if name in {"get", "post", "put", "patch", "delete", "head"}}
        assert own, pattern
        assert own <= set(METHODS), pattern


async def _status(jp_fetch, path, method, headers=None) -> int:
    body = json.dumps({}) if method in {"POST", "PUT", "PATCH"} else None
    try:
        response = await jp_fetch("jupyter-containers", "api", path, method=method, body=body, headers=headers)
    except HTTPClientError as error:
        return error.code
    return response.code


def _cookies(response) -> str:
    return "; ".join(cookie.partition(";")[0] for cookie in response.headers.get_list("Set-Cookie"))
