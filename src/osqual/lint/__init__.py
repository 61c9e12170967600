"""Checking a catalogue: rules, findings, and repairs that are proven."""
