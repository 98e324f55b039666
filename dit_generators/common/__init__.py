"""What every room may use: files, processes, progress, contact sheets, the shell of the commands."""
