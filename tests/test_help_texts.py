"""A changed interface shows in a diff: docs/commands.md holds the help of every command."""

from pathlib import Path

from help_texts import help_page


def test_the_stored_help_is_what_the_commands_print() -> None:
    stored = (Path(__file__).parents[1] / "docs" / "commands.md").read_text()
    assert stored == help_page(), "run python tests/helpers/help_texts.py > docs/commands.md"
