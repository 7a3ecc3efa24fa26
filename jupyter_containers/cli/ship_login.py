"""``login`` and ``logout``."""

from __future__ import annotations

import argparse
import getpass
import sys

from ..errors import InputError
from .base import Command
from .ship import tell

__all__ = ["Login", "Logout"]


class Login(Command):
    name = "login"
    summary = "remember a login for a registry"
    description = (
        "Try a user name and password, or token, at a registry, and remember them in "
        "~/.config/jupyter-containers/auth.json, which only you can read. Docker's logins are used, too; they need "
        "not be repeated."
    )
    examples = (
        "  jupyter containers login ghcr.io -u octocat\n"
        '  echo "$TOKEN" | jupyter containers login ghcr.io -u octocat --password-stdin'
    )

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("registry", nargs="?", default="docker.io", help="default: docker.io")
        add("-u", "--username", default="")
        add("--password-stdin", action="store_true", help="read the password from standard input")
        # No --password: it would be seen in the list of processes and stay in the shell's history.

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments

        username, password = options.username, ""
        if options.password_stdin:
            password = sys.stdin.readline().rstrip("\r\n")
        elif sys.stdin.isatty():
            username = username or input(f"User name at {options.registry}: ")
            password = getpass.getpass("Password or token: ")
        if not username or not password:
            raise InputError(
                "a user name and a password are needed",
                hint="-u NAME, and the password with --password-stdin or at a terminal",
            )
        asked = Environments().shipping.login(options.registry, username, password, notify=tell)
        if asked:
            print(f"logged in to {options.registry}")
        else:
            print(f"remembered for {options.registry}, which did not ask for it: untried")
        return 0


class Logout(Command):
    name = "logout"
    summary = "forget a login for a registry"
    description = "Forget what `login` remembered. Docker's own logins stay: `docker logout`."

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("registry", nargs="?", default="docker.io", help="default: docker.io")

    def run(self, options: argparse.Namespace) -> int:
        from ..environments import Environments

        shipping = Environments().shipping
        known = shipping.logout(options.registry)
        print(f"logged out of {options.registry}" if known else f"no login for {options.registry} was remembered here")
        if shipping.credentials.find(options.registry):
            print(f"docker's configuration still has one: `docker logout {options.registry}`")
        return 0
