"""Publishing: the images file, the build history and the record."""
