"""LoRA adapters and 4-bit weights: train, save and merge."""
