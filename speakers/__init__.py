"""Who speaks: the registry, the store of utterances, biographies."""
