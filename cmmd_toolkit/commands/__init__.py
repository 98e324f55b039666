"""`compare`, `rank`, `plan`, `explain` and `embed`, as Python functions."""
