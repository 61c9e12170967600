"""Builders turn a recipe into an image: layered (QEMU) and packer."""
