"""The package's own exceptions: all are ValueErrors, so callers may catch either."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class EmoNetError(ValueError):
    """Bad input or a bad state that the user can mend; the message says what, where and
    how.
    """


class DataFormatError(EmoNetError):
    """A file that does not hold what it should; the message names file, line or field,
    and the fix.
    """


class BackboneError(EmoNetError):
    """An embedded backbone is missing, corrupted or not the file it should be."""


@contextmanager
def loading(name: str | Path, what: str = "checkpoint", remedy: str = "") -> Iterator[None]:
    """Within, whatever stops a load becomes an EmoNetError that names what was to be
    loaded.

    Configuration, tokenizer and weights are read by libraries that each have errors of
    their own, some of no common class.
    """
    try:
        yield
    except EmoNetError as error:
        if str(name) in str(error) or type(error) is not EmoNetError:
            raise
        raise EmoNetError(f"{name}: {error}") from error
    except Exception as error:
        kind = "" if isinstance(error, (OSError, ValueError)) else f"{type(error).__name__}: "
        reason = " ".join(str(error).split())
        raise EmoNetError(f"{name}: no {what} that loads ({kind}{reason[:800]}).{remedy}") from error
