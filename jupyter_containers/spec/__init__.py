"""Specs: what a user declares. Reading files, other people's formats, the JSON Schema, named environments."""
