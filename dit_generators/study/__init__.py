"""Two models that differ in attention only, from pictures to a page."""
