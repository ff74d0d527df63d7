"""Load corpora with global speaker ids and each speaker's history."""

from ..errors import DataFormatError
from ..speakers.registry import SpeakerRegistry
from .conversations import ConversationBuilder
from .emorynlp import EmoryNLP
from .emorynlp_aligned import EmoryNLPAligned
from .loading import Conversations, load_conversations
from .meld import MELD
from .own import conversation_from_chat, read_conversation_file

__all__ = [
    "MELD",
    "ConversationBuilder",
    "Conversations",
    "DataFormatError",
    "EmoryNLP",
    "EmoryNLPAligned",
    "SpeakerRegistry",
    "conversation_from_chat",
    "load_conversations",
    "read_conversation_file",
]
