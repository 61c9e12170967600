"""A queue of configurations that many machines work on: Procrastinate on the store's PostgreSQL."""
