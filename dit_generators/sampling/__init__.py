"""From a model and settings to a folder of images, resumable."""
