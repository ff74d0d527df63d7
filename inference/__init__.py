"""Predictions for whole dialogues and turn by turn."""
