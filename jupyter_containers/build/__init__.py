"""Builds: from a lock to an image, step by step, each cached by a chained id."""
