"""Base images: made from a distribution's mirror, downloaded, or local; cached by content."""
