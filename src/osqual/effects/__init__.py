"""What everything that changes the world is given, and how it waits, listens and tries again."""
