"""Pure mathematics on features: no files, no pictures, no torch."""
