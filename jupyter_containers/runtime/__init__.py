"""Runtimes: start, watch and end containers of an image."""
