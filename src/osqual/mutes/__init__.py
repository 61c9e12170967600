"""Muted tests: entries of mutes.yaml, and those hidden in `tests_to_run`."""
