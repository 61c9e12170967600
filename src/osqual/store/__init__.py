"""The journal on SQLite or PostgreSQL: runs, results, resources, wishes to cancel, history."""
