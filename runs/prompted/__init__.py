"""Training of the prompted form."""
