"""Debian bases made here with mmdebstrap."""
