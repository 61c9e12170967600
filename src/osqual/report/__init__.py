"""Renderers of a run: console, JSON."""
