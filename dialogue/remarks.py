"""Tell words about what is heard, and words that begin a sentence, from names."""

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that stand before a colon in a sentence, never in a name.
_NO_NAME = _words(
    """is are was were am be been has have had i you we it this that these those here there said says
    saying will would can could not look listen wait note notes warning attention remember
    question answer ok okay well so yes no now today then hint tip ps p.s. example result breaking
    translation translated subtitles subtitle caption captions synced sync corrected"""
)
# Words of remarks on sounds and voices.
_REMARKS = _words(
    """music song laughs laughing laughter chuckles chuckling applause cheers cheering sighs sighing gasps
    gasping crying cries sobs sobbing sniffles coughs coughing clears groans groaning grunts grunting moans
    moaning screams screaming shouts shouting yells yelling whispers whispering mumbles mumbling murmurs
    mutters singing sings humming hums whistles whistling panting breathing breathes inaudible indistinct
    unintelligible crosstalk silence silent pause pauses beat foreign speaking speaks language scoffs
    snores snoring shushes growls barks barking rings ringing slams slamming opens closes honks honking
    beeps beeping buzzes buzzing clicks clicking knocks knocking gunshot gunshots explosion thunder rumbling
    footsteps sirens siren wailing playing plays continues stops blows chirping chatter chattering clapping
    noise static echo sarcastically angrily softly quietly loudly nervously excitedly voiceover narrating
    off-screen offscreen o.s. v.o. on-screen theme intro outro lachen gelächter musik applaus seufzt rires
    musique applaudissements risas música aplausos risate musica applausi"""
)


# How something is said or seen, beside a name; other brackets may be part of the name.
_MANNER = re.compile(
    r"[(\[（](?:.*(?:ing|ly|ed|end)\b.*|(?:to|on|in|at|off|from|over|under|aside|beat|pause|laughs?|sighs?"
    r"|cries|via|voice[- ]?over|whispers?|shouts?|smiles?|nods?|happy|joy(?:ful)?|sad(?:ness)?|angry|anger"
    r"|neutral|fear|scared|surprised?|disgust|mad|calm|lacht|seufzt|flüstert|ruft|leise|laut|rit|笑)\b.*)[)\]）]"
    r"|(?-i:\[[a-zß-ÿ ]+\])",
    re.IGNORECASE,
)
_PRONOUN = r"(?:she|her|hers|he|him|his|they|them|theirs|ze|zir|xe|any|sie|er|ihr|elle|il|iel|ella|él)"
_ASIDE = re.compile(
    r"[(\[](?:CONT['’]?D\.?|CONTINUED|CONTINUING|V\.?O\.?|O\.?S\.?|O\.?C\.?"
    rf"|{_PRONOUN}(?: ?/ ?{_PRONOUN}){{1,2}})[)\]]",
    re.IGNORECASE,
)


def is_manner(bracket: str) -> bool:
    """Whether brackets beside a name say how something is said: `(laughing)`, `[joy]`."""
    return _MANNER.fullmatch(bracket) is not None


def without_asides(brackets: str) -> str:
    """Cut brackets that are neither name nor text: `(CONT'D)`, `(V.O.)`, `(she/her)`."""
    return _ASIDE.sub("", brackets).strip()


def is_remark(text: str) -> bool:
    """Whether words in brackets say what is heard, not who speaks: `[door slams]`."""
    return _has(_REMARKS | _NO_NAME, text)


def begins_sentence(text: str) -> bool:
    """Whether words before a colon are no name: `Listen`, `He said`."""
    return _has(_NO_NAME, text)


def _has(words: frozenset[str], name: str) -> bool:
    return any(word.strip(",.!?") in words for word in name.lower().split())
