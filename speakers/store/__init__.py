"""Keep utterances and biographies in LanceDB."""
