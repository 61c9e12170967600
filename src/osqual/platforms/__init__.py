"""Platforms turn an image into a cluster: qemu, terraform; and say what it costs."""
