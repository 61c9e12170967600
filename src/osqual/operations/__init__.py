"""What spans runs: many at once, entering, comparing and ending them."""
