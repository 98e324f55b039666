"""The `dit-gen` command: options in, one line for every mistake, text and files out."""
