"""Read chats as messengers export them."""

from .reading import Reading


def read(text: str, name: str) -> Reading | None:
    """Read a messenger's export; None for a text in another form."""
    return None
