"""From a script to delayed audio codes: parser, state machine, guidance, sampler, prefix, generation."""
