"""Which names are persons: a role or a crowd is another person in every dialogue."""

import re

# Words of which the names of roles and crowds are made. A name counts as a role only if
# all its words stand here, so that `Casting Director No. 1` is one while `Nurse Sizemore`
# and `Sarah Singer` are persons.
_ROLE_WORDS = frozenset(
    re.findall(
        r"\S+",
        """
        actor actress adult agent air airline all amateur anchorwoman announcement announcer another artist assistant
        attendant audience bank barber bartender bass bellboy best big both boy bride bully bunny buyer cabbie caller
        cameraman captain cashier casting chef child children clerk clinic co-star coach commercial conductor cook cop
        counter croupier crowd customer date dealer delivery desk detective director doctor doorman dressmaker driver
        drunk drunken elderly employee everybody everyone extra father female fireman flight friend front gambler
        gentleman girl grandfather grandmother groom group guard guest guide guy gym he head hitchhiker hold host
        hostage hostess hotel housekeeper husband hypnosis instructor intercom interviewer janitor judge kid kitchen
        lady landlord lawyer leader lecturer librarian little loud machine maid male man manager men message minister
        mother narrator neighbor neighbour nobody nun nurse of officer old older on operator others owner paleontologist
        paramedic passenger passerby patient person photographer pilot planner plumber policeman policewoman presenter
        priest producer professor quartet radio receptionist referee reporter saleslady salesman saleswoman scientist
        secretary security she singer sleep soldier somebody someone soothing speaker spokesman spokeswoman stage
        steward stewardess store stranger student supervisor tailor tape tattoo teacher technician teen teenager
        telephone the theater they ticket together tour train tv unknown vendor voice volunteer waiter waitress wedding
        wife witness woman women worker young
        """,
    )
)
# The other side of a chat is another person in every chat.
_CHAT_ROLES = frozenset(("assistant", "bot", "human", "system", "user"))
_ARTICLE = re.compile(r"(the|a|an|another|some|her|his|their)[\s-]", re.IGNORECASE)
_NUMBER = re.compile(r"no\.?|number|\d+(st|nd|rd|th)?\.?")


def is_role(name: str) -> bool:
    """Whether `name` is a role (`The Waiter`, `Man 2`, `1st Customer`) or a crowd
    (`#ALL#`, `Both`) rather than one person.

    The rule: a leading `#`; an article or `Another`, `Her`, ... in front; role nouns
    only, with or without a number; or the role of a chat (`user`, `assistant`).
    """
    folded = name.strip().casefold()
    if is_crowd(name) or folded in _CHAT_ROLES or _ARTICLE.match(folded):
        return True
    words = [word for word in re.split(r"[\s/#]+", folded) if word and not _NUMBER.fullmatch(word)]
    return bool(words) and all(word in _ROLE_WORDS or word.removesuffix("s") in _ROLE_WORDS for word in words)


def is_crowd(name: str) -> bool:
    """Whether `name` is that of a crowd or of nobody in particular (`#ALL#`,
    `#UNKNOWN#`): there is no one to describe.
    """
    return name.strip().startswith("#")


def identity(name: str, dialogue_id: str) -> str:
    """The key under which a speaker is the same: the name of a person; for a role, the
    role in this dialogue.
    """
    return f"{name}@{dialogue_id}" if is_role(name) else name
