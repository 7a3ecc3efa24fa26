"""Locks: from a spec to exact versions and hashes, and the file that keeps them."""
