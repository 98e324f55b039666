"""Features that were made before, found again by what decides them: the content of a picture and the network."""
