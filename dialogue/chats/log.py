"""Collect the messages of a chat, and turn them into a conversation."""

from collections import Counter
from dataclasses import dataclass, field

from ...errors import DataFormatError
from ..reading import Conversation, Reading
from .phrases import MARKS, WITHOUT_SENDER, WITHOUT_WORDS, spoken

FIRST_LINES = 1000  # that tell the form


@dataclass
class Message:
    """A message as the export has it; a notice has no sender."""

    sender: str | None
    lines: list[str]


@dataclass
class ChatLog:
    """A chat as the export has it.

    Attributes:
        title: The form, such as `WhatsApp export`.
        messages: In order.
        left_out: How many of what was left out while reading.
        notes: What was decided.
    """

    title: str
    messages: list[Message] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def reading(self, name: str) -> Reading:
        """Make one conversation of the messages that have a sender and words.

        Raises:
            DataFormatError: where no message is left.
        """
        left_out = self.left_out + Counter()
        senders = {message.sender for message in self.messages}
        turns = []
        for message in self.messages:
            if message.sender is None:
                left_out[WITHOUT_SENDER] += 1
                continue
            text, reason = spoken(message.lines, self.title)
            if reason:
                left_out[reason] += 1
            if text:
                turns.append({"speaker": self._plain_name(message.sender, senders), "text": text})
            elif not reason:
                left_out[WITHOUT_WORDS] += 1
        counted = [
            f"{count} {_plural(what) if count > 1 else what} left out" for what, count in left_out.items()
        ]
        if not turns:
            raise DataFormatError(
                f"{name}: no message of a person in this {self.title} "
                f"({', '.join(counted) or 'it is empty'}); export the chat with its messages."
            )
        return Reading(self.title, [Conversation("0", turns)], counted + self.notes)

    def _plain_name(self, sender: str, senders: set[str | None]) -> str:
        """Clean a name; WhatsApp's `~ Anna` is Anna, unless a contact is called so."""
        name = " ".join(MARKS.sub("", sender).split())
        without = name.removeprefix("~").strip()
        return name if not without or without in senders or "WhatsApp" not in self.title else without


def _plural(what: str) -> str:
    """`lines without a sender`, `deleted messages`."""
    noun, without, rest = what.partition(" without ")
    return f"{noun}s{without}{rest}"
