"""Load corpora with global speaker ids and each speaker's history."""

from ..errors import DataFormatError
from ..speakers.registry import SpeakerRegistry
from .conversations import ConversationBuilder
from .dailydialog import DailyDialog
from .emorynlp import EmoryNLP
from .emorynlp_aligned import EmoryNLPAligned
from .iemocap import IEMOCAP, IEMOCAP4
from .loading import Conversations, load_conversations
from .meld import MELD
from .own import conversation_from_chat, read_conversation_file

__all__ = [
    "IEMOCAP",
    "IEMOCAP4",
    "MELD",
    "ConversationBuilder",
    "Conversations",
    "DailyDialog",
    "DataFormatError",
    "EmoryNLP",
    "EmoryNLPAligned",
    "SpeakerRegistry",
    "conversation_from_chat",
    "load_conversations",
    "read_conversation_file",
]
