"""Environments in the formats of other people's tools: a Dockerfile, a devcontainer.json. Made from spec and lock."""
