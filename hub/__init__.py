"""Cards, pushes to the Hub, and the code that runs there."""
