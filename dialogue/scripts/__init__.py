"""Plain text: names, colons, stamps, and turns below a name."""
