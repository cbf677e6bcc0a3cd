"""The delay grid, the Mimi codec, and sound files."""
