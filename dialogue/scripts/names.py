"""Tell how much a piece of text looks like the name of a speaker."""

import re
from enum import IntEnum
from functools import lru_cache

from ..names import is_role

LONGEST_NAME = 80  # characters
TITLES = ("mr", "mrs", "ms", "miss", "dr", "prof", "sir", "lady", "lord", "herr", "frau", "sra", "sr", "mme")


class Likeness(IntEnum):
    """How much a text looks like a name, from no name to certainly one."""

    NONE = 0  # a sentence, a word such as `Note`, a URL
    PHRASE = 1  # words of which some begin in lower case: `the first reason`
    NICK = 2  # one word in lower case, or a number: `anna_99`
    NAME = 3  # every word begins with a capital, or has none to begin with: `Anna van Dam`
    LABEL = 4  # `SPEAKER_00`, `Q`, `user`, `#UNKNOWN#`


_LABEL = re.compile(
    r"#[^#]+#|(?-i:[A-Z])\d{0,3}|[sp]\d{1,3}"
    r"|(?:speaker|spk|spkr|spch|sprecher(?:in)?|locuteur|locutrice|orateur|orador(?:a)?|hablante|interlocutor"
    r"|parlante|relatore|spreker|talare|puhuja|mówca|mluvčí|konuşmacı|участник|спикер|говорящий|говорящая"
    r"|说话人|说话者|發言者|发言人|講者|話者|発言者|화자|participant|teilnehmer(?:in)?|participante"
    r"|interviewer(?:in)?|interviewee|respondent|moderator(?:in)?|person|voice|caller|agent|guest|unknown"
    r"|unidentified speaker|unknown speaker)(?:[\s_#.:-]*\d{1,3}|[\s_#.-]+(?-i:[A-Z]))"
    r"|user|assistant|(?-i:Unknown|UNKNOWN)|unknown speaker"
    r"|问|答|問|제|문|답",
    re.IGNORECASE,
)
_CHAT_ROLES = frozenset(
    (
        "user",
        "assistant",
        "system",
        "human",
        "ai",
        "bot",
        "chatgpt",
        "gpt",
        "model",
        "you",
        "claude",
        "gemini",
        "copilot",
        "deepseek",
        "grok",
    )
)
# Words before a colon that introduce something else than a speaker.
_NOTES = frozenset(
    re.findall(
        r"\S+",
        """
        ingredients ingredient instructions instruction directions method methods details detail rules
        rule pros cons facts fact problem problems solution solutions goal goals task tasks option
        options requirements reminder quote headline definition translation meaning synonyms sources
        references subtitle genre rating price address hours deadline status
        zutaten zubereitung anleitung ingrédients ingredientes ingredienti preparación préparation
        note notes nb ps pps postscript eg ie etc tldr fyi ps1 warning attention caution important
        update edit re fwd fw subject regarding reason reasons result results conclusion summary
        example examples question questions answer answers step steps tip tips hint remember listen
        look see hear wait anyway well yes no yeah ok okay oh so but and or because also first
        firstly second secondly third thirdly finally last lastly then next now today tomorrow
        yesterday tonight here there this that these those it what when where why how which monday
        tuesday wednesday thursday friday saturday sunday price total cost date time duration length
        location venue title topic topics agenda participants attendees speakers keywords present
        absent apologies recording recorded transcript transcription transcribed transcriber file
        filename meeting language start end source url link email e-mail mail phone tel telephone
        mobile fax address website web pin zip http https ftp
        mailto www monologue music applause laughter inaudible crosstalk silence noise
        hinweis anmerkung achtung wichtig frage antwort grund beispiel datum zeit uhrzeit dauer ort
        titel thema teilnehmer betreff zusammenfassung also aber denn ergebnis erstens zweitens drittens
        remarque exemple raison durée lieu titre sujet objet nota ejemplo razón fecha hora duración
        lugar título tema asunto participantes pregunta respuesta esempio motivo data ora luogo titolo
        oggetto exemplo razão assunto opmerking voorbeeld reden tijd plaats onderwerp deelnemers
        注意 注 备注 備註 时间 時間 地点 地點 例如 比如 原因 主题 主題 日期 理由 例 日時 場所
        примечание внимание пример причина дата время место тема
        """,
    )
)
# A phrase that begins with one of these is the beginning of a sentence.
_SENTENCE_STARTS = frozenset(
    re.findall(
        r"\S+",
        """
        i i'm i've i'll it it's this that that's these those here here's there there's what what's when
        where why who who's how which if but so because then now well yes no ok okay oh my your our
        their in at for with from by is are was were do does did don't not and or to on you you're we
        we're they're he's she's let's please just also as after before ich es wir sie ihr und aber wenn
        weil dann je tu il elle nous vous et mais si yo él pero y cuando
        """,
    )
)
_PRONOUNS = frozenset(
    ("i", "me", "you", "he", "she", "we", "they", "ich", "du", "er", "sie", "wir", "yo", "moi")
)
_PARTICLES = frozenset(
    re.findall(
        r"\S+",
        """
        of the and & de da do dos das du des di del della la le les van von der den het ter ten zu zur
        bin ibn bint al el ul ur y e und et och og i from at
        """,
    )
)
_LOWER_PREFIX = re.compile(
    r"(?:d|l|o|al|el|ad|an|as|ash|at|az|bin|ibn|de|le|la|'t)['’ʼ-](?=\w)", re.IGNORECASE
)
# A word with a full stop ends a sentence, or stands before a text (`ANNA. STOP: no`).
_ABBREVIATED = (
    r"mrs?|ms|dr|prof|st|sta|ste|sr|sra|jr|fr|br|hr|fam|dipl|ing|mag|med|phil|rev|hon|gen|col|capt|cpt|sgt|lt"
    r"|cmdr|cpl|pvt|maj|adm|det|sen|rep|gov|pres|supt|insp|dña|mme|mlle|mgr|msgr|dott|avv|arch|sig|esq|wm|chr"
    r"|[bcdfghjklmnpqrstvwxz]{2,4}"
)
_NEVER = re.compile(
    r"[!?;…。！？；、，\"“”„«»=|\\\[\]{}<>\u0000-\u001f]|\.\.|://|\d:\d"
    rf"|(?i:\b(?!(?:{_ABBREVIATED})\.)[^\W\d_]{{2,}}\.\s)"
)
_HALF_BRACKET = re.compile(r"[(（]|\s\*")  # or emphasis, as where a line is cut off
_DASH = re.compile(r"\s[-–—]\s")
_ARTICLE = re.compile(r"(?:the|a|an|another|some)\s+", re.IGNORECASE)
_BRACKETS = re.compile(r"\([^()]*\)|（[^（）]*）")
MOST_WORDS = 6


@lru_cache(maxsize=4096)
def likeness(name: str) -> Likeness:
    """Say how much `name` looks like a speaker's name.

    Args:
        name: What stands before a colon, without stamp, bullet and emphasis.
    """
    bare = _BRACKETS.sub(" ", name).strip()
    if not 0 < len(name) <= LONGEST_NAME or not any(map(str.isalnum, bare)):
        return Likeness.NONE
    if is_note(bare) or _NEVER.search(bare) or _HALF_BRACKET.search(bare):
        return Likeness.NONE
    if _LABEL.fullmatch(bare):
        return Likeness.LABEL
    words = bare.replace("/", " ").split()
    first = words[0].casefold().rstrip(",")
    if len(words) == 1 and first in _PRONOUNS:
        return Likeness.NAME if words[0][0].isupper() else Likeness.NICK
    if first in _SENTENCE_STARTS or len(words) > 2 * MOST_WORDS:
        return Likeness.NONE
    if _DASH.search(bare):  # `Ben - At 12:30`
        return Likeness.NONE
    if len(words) <= MOST_WORDS and all(map(_is_capitalised, words)):
        return Likeness.NICK if bare.isdigit() or bare[0] == "@" else Likeness.NAME
    if words[0][0].isupper() and is_role(_ARTICLE.sub("", bare)):
        return Likeness.NAME
    return Likeness.NICK if len(words) == 1 else Likeness.PHRASE


def begins_sentence(word: str) -> bool:
    """Whether a word in one case begins sentences rather than names: `it`, `well`."""
    return word in _SENTENCE_STARTS or word in _PRONOUNS or word in _NOTES


def is_label(name: str) -> bool:
    """Whether the text is a name that says so itself: `SPEAKER_00`, `#UNKNOWN#`."""
    return _LABEL.fullmatch(name) is not None and not is_note(name)


def is_note(name: str) -> bool:
    """Whether the words introduce a note or a field (`P.S.`, `Date`), not a speaker."""
    words = name.casefold().replace(".", "").split()
    return bool(words) and (
        (words[0] in _NOTES and len(words) <= 2) or words[0] in ("note", "step", "transcribed")
    )


def is_chat_role(name: str) -> bool:
    """Whether the name is a side of a chat with a language model."""
    return name.casefold() in _CHAT_ROLES


def _is_capitalised(word: str) -> bool:
    word = _LOWER_PREFIX.sub("", word)
    first = next((character for character in word if character.isalnum()), "")
    if not first:
        return not word.isalpha()
    return first == first.upper() or first.istitle() or word.casefold().strip(",.") in _PARTICLES
