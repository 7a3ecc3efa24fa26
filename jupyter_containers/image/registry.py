"""One registry: the way in, patience, and errors (OCI distribution-spec 1.1).

What holds for each request, whatever it is for:

- credentials and tokens go to the registry they belong to and nowhere else: not where a redirect leads, not over
  plain http but to this machine or a registry named as insecure (rule of defence 11);
- what has no lasting reason is tried again, after a pause that grows, or the one that the server asks for, capped.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import msgspec

from ..errors import CancelledError, NotFoundError, RegistryError, UnreachableError, UntrustedContentError
from .registry_auth import Challenge, Credential, Token, basic, parse_challenges, read_token
from .registry_settings import RegistrySettings, host_of, is_loopback
from .transport import Body, Interrupted, NoConnectionError, Transport, check_way, origin, shown

if TYPE_CHECKING:
    from .transport import Response

__all__ = ["Registry"]

_REDIRECTS = 5
_LONGEST_PAUSE = 30.0
"""Seconds; also of a server's Retry-After."""
_LONGEST_ANSWER = 64 << 10
"""Bytes, of an error or a token."""
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
_MOVED = frozenset({301, 302, 303, 307, 308})


class _ErrorItem(msgspec.Struct, frozen=True):
    code: str = ""
    message: str | None = ""


class _Errors(msgspec.Struct, frozen=True):
    """distribution-spec, "Error Codes"."""

    errors: tuple[_ErrorItem, ...] = ()


class Registry:
    """A registry and what is known of the way in. A context; may be used by several threads at once.

    *credential* is asked once, and only when the registry asks for one. *notify* is told what a user should know
    of the way taken (plain http). *stop* ends waits and transfers when it is set.
    """

    def __init__(
        self,
        name: str,
        settings: RegistrySettings,
        *,
        credential: Callable[[str], Credential | None] = lambda _: None,
        notify: Callable[[str], None] = lambda _: None,
        stop: threading.Event | None = None,
    ) -> None:
        self.name, self.settings = name, settings
        self.stop = stop or threading.Event()
        self.transport = Transport(settings, stop=self.stop)
        self._host = host_of(name)
        self._ask_credential, self._notify = credential, notify
        self._lock = threading.Lock()
        self._known_root = ""
        self._credential: Credential | None = None
        self._asked = False
        self._basic = ""
        self._tokens: dict[tuple[str, ...], Token] = {}

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *exception: object) -> None:
        self.transport.close()

    @property
    def asked_for_login(self) -> bool:
        """Whether it asked for one up to now."""
        return self._asked

    def ping(self) -> None:
        """Ask whether it is there and lets us in (distribution-spec, "Determining Support")."""
        with self.call("GET", "/v2/", what="its API"):
            return

    @contextmanager
    def call(
        self,
        method: str,
        path: str,
        *,
        what: str,
        scopes: tuple[str, ...] = (),
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        accept: tuple[int, ...] = (200,),
        retry: bool = True,
    ) -> Iterator[Response]:
        """The answer to one request, with its body still to be read.

        *path* begins with ``/v2/``, or is a URL that the registry gave (for uploads). *what* names the thing in
        errors. A status that is not in *accept* is raised: :class:`NotFoundError`, :class:`RegistryError`,
        :class:`UnreachableError`. With *retry* false there is one try, and :class:`.transport.Interrupted`.
        """
        if self.settings.offline:
            raise UnreachableError(f"offline, so {self.name} is not asked for {what}", hint="unset `offline` for it")
        headers = headers or {}
        if retry:
            response = self._send_patiently(method, path, scopes, what, headers, body)
        else:
            response = self._send(method, path, scopes, headers, body)
        try:
            if response.status_code in _LATER and not retry:
                raise Interrupted(f"HTTP {response.status_code}{self._said(response)}")
            if response.status_code not in accept:
                raise self._refusal(response, what)
            yield response
        finally:
            response.close()

    def read(self, path: str, limit: int, *, what: str, scopes: tuple[str, ...] = (), accept: str = "*/*",
             ) -> tuple[bytes, Mapping[str, str]]:  # fmt: skip
        """A document of at most *limit* bytes, and the answer's headers; errors are those of :meth:`call`."""
        for turn in range(self.settings.retries + 1):
            with self.call("GET", path, what=what, scopes=scopes, headers={"Accept": accept}) as response:
                try:
                    return self.transport.read(response, limit, what=f"{self.name}, {what}"), response.headers
                except Interrupted as error:
                    trouble = str(error)
            self.pause(turn)
        raise self.unreachable(what, trouble)

    def url(self, path: str) -> str:
        """The whole URL of *path*, or of what a ``Location`` says, relative to the registry."""
        return self._joined(self._root(), path)

    def pause(self, turn: int, asked: float = 0.0) -> None:
        """Wait before the next try; :class:`CancelledError` when it is to stop."""
        grown = min(0.4 * 2**turn, _LONGEST_PAUSE) * random.uniform(0.75, 1.25)  # noqa: S311  spreads load
        if self.stop.wait(max(grown, min(asked, _LONGEST_PAUSE))):
            raise CancelledError("the transfer was stopped")

    def unreachable(self, what: str, trouble: str) -> UnreachableError:
        """The error for what was tried in vain, the last time with *trouble*."""
        hint = "look at the registry's name and the network; HTTPS_PROXY names a proxy"
        if "CERTIFICATE_VERIFY_FAILED" in trouble:
            hint = "SSL_CERT_FILE names the certificates to trust; `insecure = true` for it in config.toml does without"
        tries = self.settings.retries + 1
        return UnreachableError(f"no answer from {self.name} for {what} after {tries} tries ({trouble})", hint=hint)

    # Sending

    def _send_patiently(
        self, method: str, path: str, scopes: tuple[str, ...], what: str, headers: Mapping[str, str], body: Body | None
    ) -> Response:
        trouble = ""
        for turn in range(self.settings.retries + 1):
            asked = 0.0
            try:
                response = self._send(method, path, scopes, headers, body)
            except Interrupted as error:
                trouble = str(error)
            else:
                if response.status_code not in _LATER:
                    return response
                trouble, asked = f"HTTP {response.status_code}{self._said(response)}", _retry_after(response)
                response.close()
            if turn < self.settings.retries:
                self.pause(turn, asked)
        raise self.unreachable(what, trouble)

    def _send(
        self, method: str, path: str, scopes: tuple[str, ...], headers: Mapping[str, str], body: Body | None
    ) -> Response:
        """One request through challenges and redirects. Raises :class:`.transport.Interrupted`."""
        root = self._root()
        url = self._joined(root, path)
        check_way(self.name, root, url, self.settings)
        hops = logins = 0
        while True:
            own = origin(url) == origin(root)
            sent = dict(headers)
            if own and (authorization := self._authorization(scopes)):
                sent["Authorization"] = authorization
            response = self.transport.exchange(method, url, sent, body)
            if response.status_code == 401 and own and logins < 2:
                challenges = parse_challenges(response.headers.get_list("www-authenticate"))
                response.close()
                self._authenticate(challenges, scopes, refused=sent.get("Authorization", ""))
                logins += 1
            elif response.status_code in _MOVED and method in ("GET", "HEAD"):
                response.close()
                target = self._joined(url, response.headers.get("location", ""))
                check_way(self.name, url, target, self.settings)
                url, hops = target, hops + 1
                if hops > _REDIRECTS:
                    raise RegistryError(f"{self.name} redirects more than {_REDIRECTS} times", hint="try again later")
            else:
                return response

    def _joined(self, base: str, address: str) -> str:
        try:
            return urljoin(base, address)
        except ValueError as error:  # [ without ]
            raise RegistryError(f"{self.name} leads to {address[:200]!r}, which is no address: {error}") from error

    def _root(self) -> str:
        """``https://host/``, or ``http://host/`` where that is allowed and https is not spoken."""
        with self._lock:
            if self._known_root:
                return self._known_root
        root = f"https://{self._host}/"
        if self.settings.may_be_plain(self._host):
            try:
                self.transport.exchange("GET", f"{root}v2/", {}).close()
            except NoConnectionError:
                # No TLS there, or nothing at all: the request that follows tells which.
                root = f"http://{self._host}/"
                if not is_loopback(self._host):
                    self._notify(f"{self.name} is spoken to over plain http, as config.toml allows")
            except Interrupted:
                pass  # it does speak TLS, and the request that follows tells what is wrong
        with self._lock:
            self._known_root = self._known_root or root
            return self._known_root

    # The way in

    def _authorization(self, scopes: tuple[str, ...]) -> str:
        with self._lock:
            token = self._tokens.get(scopes)
            if token is not None and token.expires > time.monotonic():
                return f"Bearer {token.text}"
            return self._basic

    def _authenticate(self, challenges: tuple[Challenge, ...], scopes: tuple[str, ...], *, refused: str) -> None:
        """Get what the next try is to be sent with. :class:`RegistryError` where there is no way in."""
        offered = {challenge.scheme: challenge for challenge in reversed(challenges)}
        credential = self._find_credential()
        if "bearer" in offered:
            token = self._fetch_token(offered["bearer"], scopes, credential)
            with self._lock:
                self._tokens[scopes] = token
        elif "basic" in offered:
            if credential is None or not credential.password:
                raise self._denied("it asks for a login, and there is none")
            authorization = basic(credential)
            if refused == authorization:
                raise self._denied(f"user {credential.username!r} with that password is not let in")
            with self._lock:
                self._basic = authorization
        else:
            schemes = ", ".join(offered) or "none"
            raise self._denied(f"it asks for a login of a kind that is not known here ({schemes[:100]})")

    def _find_credential(self) -> Credential | None:
        with self._lock:
            if not self._asked:
                self._credential, self._asked = self._ask_credential(self.name), True
            return self._credential

    def _fetch_token(self, challenge: Challenge, scopes: tuple[str, ...], credential: Credential | None) -> Token:
        """Ask the token server that the registry names, with what the user has for the registry."""
        now = time.monotonic()
        if credential is not None and credential.registry_token:
            return Token(credential.registry_token, now + 60)
        realm = challenge.parameters.get("realm", "")
        check_way(self.name, self._root(), realm, self.settings)
        wanted = scopes or tuple(filter(None, challenge.parameters.get("scope", "").split(" ")))
        fields = [("service", challenge.parameters.get("service", ""))]
        try:
            if credential is not None and credential.identity_token:
                response = self._refresh(realm, fields, wanted, credential.identity_token)
            else:
                fields += [("scope", scope) for scope in wanted]
                headers = {}
                if credential is not None and credential.password:
                    headers["Authorization"] = basic(credential)
                    fields += [("account", credential.username)]
                response = self.transport.exchange("GET", _with_query(realm, fields), headers)
            with closing(response):
                if response.status_code in (400, 401, 403):
                    whom = "this login is" if credential else "without a login one is"
                    raise self._denied(f"{whom} not let in by its token server {shown(realm)}{self._said(response)}")
                if response.status_code in _LATER:
                    raise Interrupted(f"its token server {shown(realm)} answers HTTP {response.status_code}")
                if response.status_code != 200:
                    raise RegistryError(f"{self.name}: its token server {shown(realm)}: HTTP {response.status_code}")
                body = self.transport.read(response, _LONGEST_ANSWER, what=f"the token server {shown(realm)}")
        except NoConnectionError as error:
            raise Interrupted(f"its token server {shown(realm)}: {error}") from error
        return read_token(body, realm=shown(realm), now=now)

    def _refresh(self, realm: str, fields: list[tuple[str, str]], scopes: tuple[str, ...], token: str) -> Response:
        """OAuth 2 (RFC 6749, section 6): what credential programs call an identity token is a refresh token."""
        form = [*fields, ("grant_type", "refresh_token"), ("client_id", "jupyter-containers")]
        data = urlencode([*form, ("scope", " ".join(scopes)), ("refresh_token", token)]).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.transport.exchange("POST", realm, headers, Body(len(data), lambda: iter([data])))

    # Errors

    def _denied(self, cause: str) -> RegistryError:
        return RegistryError(
            f"{self.name} refuses: {cause}", hint=f"`jupyter containers login {self.name}` with an account that may"
        )

    def _refusal(self, response: Response, what: str) -> Exception:
        status = response.status_code
        text = f"{self.name}, {what}: HTTP {status}{self._said(response)}"
        if status == 404:
            return NotFoundError(text, hint="look at the name and the tag; `jupyter containers search-tags NAME`")
        if status in (401, 403):
            return RegistryError(
                f"{text}: access denied, or there is no such thing",
                hint=f"look at the name; `jupyter containers login {self.name}` where it is private",
            )
        if status in _LATER:
            return UnreachableError(text, hint="try again later")
        return RegistryError(text, hint="the registry's reason, where it gave one, stands in the message")

    def _said(self, response: Response) -> str:
        """`` (manifest unknown: …)``: what the registry says of the cause, in bounded length."""
        errors = (Interrupted, UntrustedContentError, msgspec.DecodeError, UnicodeDecodeError, RecursionError)
        with suppress(*errors):
            body = self.transport.read(response, _LONGEST_ANSWER, what="an error")
            items = msgspec.json.decode(body, type=_Errors).errors
            texts = [f"{item.code}: {item.message}" if item.message else item.code for item in items]
            return f" ({'; '.join(texts)[:300]})" if texts else ""
        return ""


def _with_query(url: str, fields: list[tuple[str, str]]) -> str:
    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query), *(field for field in fields if field[1])])
    return parts._replace(query=query, fragment="").geturl()


def _retry_after(response: Response) -> float:
    """Seconds (RFC 9110, 10.2.3); a date, or nonsense, counts as none."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 9 else 0.0
