"""Training data for a model, from conversations to batches."""
