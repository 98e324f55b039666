"""`python -m dit_generators` is `dit-gen`."""

from cmmd_toolkit.common.signals import exit_at_once


def start() -> None:
    """Run the command; interrupts count from before its first heavy import."""
    exit_at_once()
    from .cli.main import main

    main()


if __name__ == "__main__":
    start()
