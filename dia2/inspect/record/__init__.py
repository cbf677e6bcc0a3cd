"""From hook points to shards."""
