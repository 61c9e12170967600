"""What tests and consoles say, and the verdict that follows."""
