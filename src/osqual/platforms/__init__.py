"""Platforms turn an image into a cluster: qemu, terraform."""
