"""What a training is given: arguments, presets, adjusted logits."""
