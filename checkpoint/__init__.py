"""Write, read and check checkpoint files."""
