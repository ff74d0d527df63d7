"""LoRA and 4-bit weights: training, saving and merging."""
