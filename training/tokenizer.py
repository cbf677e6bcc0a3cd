"""A small byte-pair tokenizer in Hugging Face's format, special tokens first and speaker tags last as in Dia2's own."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

SPECIALS = ("<bos>", "<unused1>", "<new_word>", "<pad>", "<unused4>", "<unused5>", "<unused6>", "<zero>")
TAGS = ("[S1]", "[S2]")


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Learn `vocabulary` tokens, specials and tags included, from `texts`.

    Case is dropped: “Hello” at the start of a sentence and “hello” within share what is learnt. A tag swallows the
    space after it, so a word is the same tokens with a tag and without.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(TAGS),
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator((word for text in texts for word in text.split()), trainer)  # words come bare
    tokenizer.add_special_tokens([AddedToken(tag, rstrip=True, normalized=False, special=True) for tag in TAGS])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<bos>", pad_token="<pad>")
