"""What the commands `dia2` and `dia` share."""
