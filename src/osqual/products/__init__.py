"""What a product says of itself: how it is installed, and which suites test it."""
