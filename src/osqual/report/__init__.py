"""Renderers of runs: console, JSON lines, text, Markdown, HTML, JUnit, bundles; why tests fail."""
