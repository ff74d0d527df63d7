"""Describe speakers by what they said, with or without a language model."""
