"""One self-contained page of a record, by jinja2 templates."""
