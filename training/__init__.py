"""Recipes: data from flite and espeak-ng, codec, language model, fine-tuning. The runtime never imports them."""
