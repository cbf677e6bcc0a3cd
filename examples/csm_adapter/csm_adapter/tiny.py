"""A tiny CSM of random weights: the real code, quick to run, and noise to hear."""

import torch
from transformers import CsmConfig, CsmDepthDecoderConfig, CsmForConditionalGeneration, MimiConfig

_SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}


def tiny() -> CsmForConditionalGeneration:
    """The same weights each time; the caller's generators stay as they are."""
    codec = MimiConfig(
        **_SMALL, head_dim=8, sampling_rate=800, frame_rate=12.5, num_filters=4, num_residual_layers=1,
        upsampling_ratios=[4, 4, 2], num_hidden_layers=1, codebook_size=32, codebook_dim=16,
        vector_quantization_hidden_dimension=16, num_quantizers=4, num_semantic_quantizers=1, sliding_window=10,
        upsample_groups=32,
    )  # fmt: skip
    depth = CsmDepthDecoderConfig(
        **_SMALL, num_codebooks=4, backbone_hidden_size=32, vocab_size=35, num_hidden_layers=1, head_dim=8
    )
    config = CsmConfig(
        **_SMALL, num_codebooks=4, vocab_size=35, text_vocab_size=64, num_hidden_layers=2, head_dim=8, pad_token_id=61,
        codebook_pad_token_id=34, bos_token_id=60, audio_token_id=61, audio_eos_token_id=62,
        depth_decoder_config=depth, codec_config=codec,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: CsmForConditionalGeneration = CsmForConditionalGeneration(config).eval()
    return model
