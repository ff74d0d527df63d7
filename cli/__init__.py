"""The `emonet` command."""
