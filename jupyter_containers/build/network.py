"""What a step with network needs of the host's network settings, and nothing more of the host.

Proxies and certificates are the host's: behind a proxy that inspects traffic neither pip nor git reaches anything
otherwise. They are there while the step runs, and never become part of the image.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ..lock.indexes import trust_environment

__all__ = ["Network", "host_network"]

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_CERTIFICATES = "/run/jc/certificates.crt"
_CERTIFICATE_VARIABLES = (
    "SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS", "PIP_CERT", "REQUESTS_CA_BUNDLE",
)  # fmt: skip
"""How OpenSSL and uv, curl, git, Node.js, pip and requests are told."""
_LARGEST_BUNDLE = 8 << 20


@dataclass(frozen=True, slots=True)
class Network:
    """Variables and files of a sandbox with network."""

    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


def host_network(environ: Mapping[str, str] | None = None, *, root: Path = Path("/")) -> Network:
    """The network settings of this host; *root* for tests."""
    given = os.environ if environ is None else environ
    env = {name: given[name] for name in _PROXIES if given.get(name)}
    files: dict[str, bytes] = {}
    with suppress(OSError):  # a host whose names come from elsewhere: the step tells what it can't resolve
        files["/etc/resolv.conf"] = (root / "etc/resolv.conf").read_bytes()
    bundle = given.get("SSL_CERT_FILE") or trust_environment(given).get("SSL_CERT_FILE", "")
    with suppress(OSError):  # not readable for this user: the image's own certificates count
        if bundle and Path(bundle).stat().st_size <= _LARGEST_BUNDLE:
            files[_CERTIFICATES] = Path(bundle).read_bytes()
            env |= dict.fromkeys(_CERTIFICATE_VARIABLES, _CERTIFICATES)
    return Network(env, files)
