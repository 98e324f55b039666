"""Features and statistics of a set, how they are stored, and the record of the pictures they came from."""
