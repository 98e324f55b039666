"""From a folder, archive, array or file to RGB pixels."""
