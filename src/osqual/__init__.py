"""osqual: qualify a cluster product on operating system images."""

__version__ = "0.1.0"
