"""Signed statements about images: what was tested, how it was made, and whether that holds."""
