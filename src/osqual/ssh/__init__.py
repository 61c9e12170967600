"""A node over OpenSSH: its server awaited, keys, the way to it."""
