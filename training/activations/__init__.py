"""Figures of what a checkpoint's activations do: how far they steer, which head reads the text, what can be read."""
