"""Corpora: builders, global speakers, histories, and `load_conversations` in front of them."""

from .conversations import ConversationBuilder
from .emorynlp import EmoryNLP, EmoryNLPAligned
from .loading import Conversations, load_conversations
from .meld import MELD
from .schema import DataFormatError
from .speakers import SpeakerRegistry

__all__ = [
    "MELD",
    "ConversationBuilder",
    "Conversations",
    "DataFormatError",
    "EmoryNLP",
    "EmoryNLPAligned",
    "SpeakerRegistry",
    "load_conversations",
]
