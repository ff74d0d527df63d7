"""Build concept tables from knowledge graphs and valence-arousal lexicons."""
