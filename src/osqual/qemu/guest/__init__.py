"""Files that go into our own bases: the first-boot agent."""
