"""What a model family declares."""
