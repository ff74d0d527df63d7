"""Checkpoint files: writing, reading and checking them."""
