"""Parse conversations in their usual formats into turns."""
