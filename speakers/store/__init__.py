"""The store of utterances and biographies, in LanceDB."""
