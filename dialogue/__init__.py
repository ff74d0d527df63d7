"""Conversations as people have them, parsed into turns."""
