"""The package's own exceptions: all are ValueErrors, so callers may catch either."""


class EmoNetError(ValueError):
    """Bad input or a bad state that the user can mend; the message says what, where and how."""


class BackboneError(EmoNetError):
    """An embedded backbone is missing, corrupted or not the file it should be."""
