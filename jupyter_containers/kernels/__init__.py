"""Kernels: containers that speak the Jupyter protocol."""
