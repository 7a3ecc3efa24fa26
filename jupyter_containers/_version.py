"""The version, read by the build backend and by ``jupyter containers --version``."""

__version__ = "0.1.0"
