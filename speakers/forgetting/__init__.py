"""Taking a person out of a trained checkpoint."""
