"""``python -m jupyter_containers`` is ``jupyter containers``."""

from .cli.app import main

main()
