"""A run's suites: in which order, with which tests, how often, and what is kept of them."""
