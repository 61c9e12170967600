"""The journal: runs, steps, resources and results on SQLite or PostgreSQL."""
