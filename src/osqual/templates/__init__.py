"""Packer templates: parsed, interpolated, with the files that they refer to."""
