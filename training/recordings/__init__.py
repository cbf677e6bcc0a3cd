"""From a folder of recordings to utterances to learn from: found, judged, timed, kept, split, reported."""
