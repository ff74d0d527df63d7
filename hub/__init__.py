"""The Hub: cards, pushes, and what runs there."""
