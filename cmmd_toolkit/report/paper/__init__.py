"""Records on paper: tidy rows for other programs, tables in Markdown and LaTeX, figures at column width."""
