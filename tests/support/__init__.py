"""Stand-ins for what the tests cannot reach (a model hub, published checkpoints), real Whispers, and known speech."""
