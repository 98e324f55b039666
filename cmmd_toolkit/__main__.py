"""`python -m cmmd_toolkit` is `cmmd`."""

from .cli.main import main

main()
