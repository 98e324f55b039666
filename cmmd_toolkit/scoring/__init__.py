"""From embedded sets to results: which metrics, each of them, class by class, and what is odd about them."""
