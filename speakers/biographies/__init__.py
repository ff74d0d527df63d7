"""Biographies of speakers: extracted or written."""
