"""`python -m dit_generators` is `dit-gen`."""

from .cli import main

main()
