"""A server: the speech API that clients already speak, over an open batch. `dia2 serve` runs it; docs/serving.md."""
