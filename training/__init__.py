"""Recipes: data from espeak-ng, codec, language model, fine-tuning. The runtime never imports them."""
