"""Training and evaluation runs, in the same steps for every family of models."""
