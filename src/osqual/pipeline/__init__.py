"""A run from step to step: begun, resumed, previewed, published."""
