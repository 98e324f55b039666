"""A network and two metrics of one's own."""
