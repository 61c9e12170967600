"""One run: what it was asked for, what it found, and the cluster that it owns."""
