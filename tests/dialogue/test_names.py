"""Persons, and roles that are someone else in every dialogue."""

import pytest

from emonet.dialogue.names import identity, is_role

ROLES = [
    "#ALL#",
    "The Waiter",
    "A Waiter",
    "Man",
    "man",
    "Man 2",
    "Guys",
    "Nurse",
    "Nurse #1",
    "Fireman No. 3",
    "1st Customer",
    "Both",
    "Casting Director No. 1",
    "Flight Attendant",
    "Woman On Train",
    "Another Scientist",
    "Her Friends",
    "Her-Friends",
    "Waitress",
    "user",
    "assistant",
    "Speaker 1",
]
PERSONS = [
    "Monica Geller",
    "Nurse Sizemore",
    "Sarah Singer",
    "Paul the Wine Guy",
    "Dr. Rosen",
    "Theo",
    "Ann",
    "A.J.",
    "7",
    "Annabelle",
    "User 12",
    "Manny",
    "Guy Fieri",
    "Allesandro",
    "Herbert",
]


@pytest.mark.parametrize("name", ROLES)
def test_roles_are_not_persons(name: str) -> None:
    assert is_role(name)
    assert identity(name, "d1") != identity(name, "d2")
    assert identity(name, "d1") != identity(name + " 9", "d1")


@pytest.mark.parametrize("name", PERSONS)
def test_persons_are_the_same_in_every_dialogue(name: str) -> None:
    assert not is_role(name)
    assert identity(name, "d1") == identity(name, "d2") == name
