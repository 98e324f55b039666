"""Examples at the end of a command's help."""

INDENT = "  "


def examples(*lines: str) -> str:
    """The epilog of a command: lines that can be typed as they stand, laid out as they are written."""
    return "\b\nExamples:\n" + "\n".join(INDENT + line for line in lines)
