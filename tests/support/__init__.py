"""Stand-ins for what the tests cannot reach: a model hub, a Whisper checkpoint."""
