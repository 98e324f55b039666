"""The sets of a run: what they are called, how they are opened, embedded and warned about."""
