"""Changing a catalogue: planned file changes, and everything that plans them."""
