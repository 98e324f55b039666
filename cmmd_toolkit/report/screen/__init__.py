"""Records on a terminal: tables that fit its width, intervals as bars, warnings in a line each."""
