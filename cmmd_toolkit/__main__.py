"""`python -m cmmd_toolkit` is `cmmd`."""

from .cli import main

main()
