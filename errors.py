"""The package's exceptions. All are ValueErrors, so callers may catch either."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class EmoNetError(ValueError):
    """Bad input or a bad state that the user can fix.

    The message says what is wrong, where and how to fix it.
    """


class DataFormatError(EmoNetError):
    """A file with wrong content; the message names file, line or field, and the fix."""


class MismatchedSizesError(EmoNetError, RuntimeError):
    """Weights of other sizes; transformers raises a RuntimeError for them."""


class BackboneError(EmoNetError):
    """An embedded backbone is missing, corrupted or has the wrong digest."""


@contextmanager
def loading(name: str | Path, what: str = "checkpoint", remedy: str = "") -> Iterator[None]:
    """Turn any error of a load into an EmoNetError that names what was loaded.

    The libraries that read configurations, tokenizers and weights raise various errors,
    some without a common class.

    Args:
        name: The file, folder or id.
        what: What is loaded, for the message.
        remedy: A sentence on how to fix it, with a leading blank.
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
