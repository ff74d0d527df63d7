"""Identify speakers, store their utterances and describe them."""
