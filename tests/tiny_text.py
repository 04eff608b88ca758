"""Small real tokenizers and text encoders for tests of text-to-audio models: the classes of the published ones, with few random weights."""

import string
from typing import Any

TEXT = """
a an the and with that your pop rock jazz techno lo fi funk country instrumental song track music drums synth loud guitars heavy bassy
uplifting upbeat strong tempo high melodic riffs makes head shake low quality
"""
WORDS = TEXT.split()
CHARACTERS = "▁" + string.ascii_letters + string.digits + string.punctuation


def t5_tokenizer() -> Any:
    """A T5 tokenizer of about 140 pieces: some words, and every character of ASCII."""
    from transformers import T5Tokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -10.0)]
    pieces += [(f"▁{word}", -2.0 - place / 100) for place, word in enumerate(WORDS)]
    pieces += [(character, -6.0 - place / 100) for place, character in enumerate(CHARACTERS)]
    return T5Tokenizer(vocab=pieces, extra_ids=0)


def t5_config(width: int = 16) -> Any:
    """Of a T5 of two layers."""
    from transformers import T5Config

    return T5Config(
        vocab_size=len(t5_tokenizer()), d_model=width, d_kv=8, d_ff=2 * width, num_layers=2, num_heads=2,
        feed_forward_proj="gated-gelu", pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
    )  # fmt: skip
