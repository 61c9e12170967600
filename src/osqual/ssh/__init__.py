"""A node over OpenSSH, and the way to it."""
