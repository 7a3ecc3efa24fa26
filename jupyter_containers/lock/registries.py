"""Settings for image registries, from the same configuration file as those for package archives::

    [registries."registry.example:5000"]
    insecure = true                     # plain http, or https with a certificate that nobody vouches for

    [registries."docker.io"]
    mirrors = ["mirror.example"]        # asked first, for pulling

Offline, time-outs and retries are those of ``[network]``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from ..errors import InputError, Problem, ReferenceError
from ..image.registry_settings import RegistrySettings, host_of
from .settings import config_file, read_config, read_flag

__all__ = ["registry_settings"]


def registry_settings(environ: Mapping[str, str] | None = None) -> RegistrySettings:
    """What the host and its user say about registries. :class:`InputError` for a file that is not well formed."""
    env = os.environ if environ is None else environ
    file = config_file(env)
    config = read_config(file)
    problems = []
    for name, table in config.registries.items():
        for host in (name, *table.mirrors):
            try:
                host_of(host)
            except ReferenceError:
                cause = f"{host!r} is not a registry"
                problems.append(Problem(str(file), cause, "write HOST or HOST:PORT", "registries"))
    if problems:
        raise InputError("the configuration file is not valid", problems=problems)
    network = config.network
    return RegistrySettings(
        insecure=frozenset(name for name, table in config.registries.items() if table.insecure),
        mirrors={name: table.mirrors for name, table in config.registries.items() if table.mirrors},
        offline=read_flag(env, "JUPYTER_CONTAINERS_OFFLINE", network.offline),
        connect_timeout=network.connect_timeout,
        idle_timeout=network.idle_timeout,
        retries=network.retries,
    )
