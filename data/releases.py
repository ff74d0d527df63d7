"""Read the text files of a corpus as its owners release them."""

import re
import warnings

from ..errors import DataFormatError
from ..files.text import decode

_LINE_BREAK = re.compile(r"\r\n|\n|\r")


def lines_of(data: bytes, name: str) -> list[tuple[int, str]]:
    """Decode a file into (number, line) pairs, without blank lines at its end.

    A file that is not UTF-8 is read as Windows-1252, with a warning.

    Args:
        data: The content.
        name: The file's name, for the messages.

    Raises:
        DataFormatError: naming line and byte, for bytes that neither encoding has.
    """
    try:
        text = decode(data, name)
    except DataFormatError as error:
        try:
            text = data.decode("cp1252")
        except UnicodeDecodeError:
            raise error from None
        warnings.warn(f"{error} It was read as Windows-1252.", stacklevel=2)
    return list(enumerate(_LINE_BREAK.split(text.rstrip()), 1)) if text.strip() else []
