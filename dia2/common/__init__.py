"""What every room uses and that knows no model: errors, checks, files, words of messages, hook points."""
