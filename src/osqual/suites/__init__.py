"""Suite kinds: how tests are run against a cluster and read back as results."""
