"""The context modules: what runs over a dialogue's turn vectors."""
