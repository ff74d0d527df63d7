"""Tell names of persons from roles and crowds, which differ in every dialogue."""

import re

# Words of role and crowd names. A name is a role only if all its words are in this list:
# `Casting Director No. 1` is one, `Nurse Sizemore` and `Sarah Singer` are persons.
_ROLE_WORDS = frozenset(
    re.findall(
        r"\S+",
        """
        actor actress adult agent air airline all amateur anchorwoman announcement announcer another
        artist assistant attendant audience bank barber bartender bass bellboy best big both boy
        bride bully bunny buyer cabbie caller cameraman captain cashier casting chef child children
        clerk clinic co-star coach commercial conductor cook cop counter croupier crowd customer
        date dealer delivery desk detective director doctor doorman dressmaker driver drunk drunken
        elderly employee everybody everyone extra father female fireman flight friend front gambler
        gentleman girl grandfather grandmother groom group guard guest guide guy gym he head
        hitchhiker hold host hostage hostess hotel housekeeper husband hypnosis instructor intercom
        interviewer janitor judge kid kitchen lady landlord lawyer leader lecturer librarian little
        loud machine maid male man manager men message minister mother narrator neighbor neighbour
        nobody nun nurse of officer old older on operator others owner paleontologist paramedic
        passenger passerby patient person photographer pilot planner plumber policeman policewoman
        presenter priest producer professor quartet radio receptionist referee reporter saleslady
        salesman saleswoman scientist secretary security she singer sleep soldier somebody someone
        soothing speaker spokesman spokeswoman stage steward stewardess store stranger student
        supervisor tailor tape tattoo teacher technician teen teenager telephone the theater they
        ticket together tour train tv unknown vendor voice volunteer waiter waitress wedding wife
        witness woman women worker young
        """,
    )
)
# The other side of a chat is another person in every chat.
_CHAT_ROLES = frozenset(("assistant", "bot", "human", "system", "user"))
_ARTICLE = re.compile(r"(the|a|an|another|some|her|his|their)[\s-]", re.IGNORECASE)
_NUMBER = re.compile(r"no\.?|number|\d+(st|nd|rd|th)?\.?")


def is_role(name: str) -> bool:
    """Whether `name` is a role (`The Waiter`, `Man 2`) or a crowd (`#ALL#`, `Both`).

    A role has a leading `#`, a leading article or `Another`, `Her`, ..., or role nouns
    only, with or without a number; or it is the role of a chat (`user`, `assistant`).
    """
    folded = name.strip().casefold()
    if is_crowd(name) or folded in _CHAT_ROLES or _ARTICLE.match(folded):
        return True
    words = [word for word in re.split(r"[\s/#]+", folded) if word and not _NUMBER.fullmatch(word)]
    return bool(words) and all(word in _ROLE_WORDS or word.removesuffix("s") in _ROLE_WORDS for word in words)


def is_crowd(name: str) -> bool:
    """Whether `name` is a crowd or nobody in particular (`#ALL#`, `#UNKNOWN#`)."""
    return name.strip().startswith("#")


def identity(name: str, dialogue_id: str) -> str:
    """The key of a speaker: a person's name, or a role in this dialogue."""
    return f"{name}@{dialogue_id}" if is_role(name) else name
