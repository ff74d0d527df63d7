"""Fixtures of the language-model form."""

from language_fixtures import chat_model, own_cache, tiny_encoder, written

__all__ = ["chat_model", "own_cache", "tiny_encoder", "written"]
