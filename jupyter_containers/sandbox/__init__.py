"""Sandboxes: namespaces, overlays, system call filters and control groups, and what this host can do of them."""
