"""The prompted form: a language model that is asked for a turn's emotion."""
