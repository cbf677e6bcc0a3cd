"""What a recording sounds like beside how its words are spelt: a hiss where an s is, a pause where nothing is said."""
