"""The prompted form: a language model scores labels after a prompt."""
