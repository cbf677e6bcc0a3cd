"""Several runs side by side, a frame of all of them at a time."""
