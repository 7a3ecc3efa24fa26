"""Sandboxes that are forks of a process which is ready (:mod:`.owner` is the way in)."""
