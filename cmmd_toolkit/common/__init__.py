"""What every room may use: files, numbers that callers give, text, progress, versions."""
