"""Names: one form, one spelling a person, and roles told from persons."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emonet.data import load_conversations
from emonet.dialogue import names
from emonet.dialogue.names import (
    KnownNames,
    clean_name,
    identity,
    is_role,
    refuse_unknown_persons,
    same_case,
    speaker_kinds,
)
from emonet.dialogue.reader import read_text
from emonet.errors import EmoNetError

ROLES = {
    "scripts": """
        #ALL# | The Waiter | A Waiter | Man | man | Man 2 | Guys | Nurse | Nurse #1 | Fireman No. 3
        1st Customer | Both | Casting Director No. 1 | Flight Attendant | Woman On Train
        Another Scientist | Her Friends | Her-Friends | Waitress | Man A
    """,
    "diarizers": """
        SPEAKER_00 | SPEAKER_01 | SPEAKER_UNKNOWN | speaker_0 | spk_0 | spk0 | SPK1 | Speaker A | Speaker 1
        Speaker-1 | Speaker１ | speaker② | [SPEAKER_00] | Speaker 12: | ch_0 | Channel 1 | S1 | S0 | P1 | Q1
        A | B | a | A. | Q | Б | 0 | 1 | 7 | 01 | Nr. 1 | Unknown Speaker | Unknown | Unidentified
        UNIDENTIFIED MALE | Voice 2 | Guest-1 | Person 3
    """,
    "chats": """
        user | assistant | human | gpt | GPT-4 | gpt-4o | ChatGPT | bot | system | agent | customer | client
        AI | User 12 | Customer Service | Support Agent
    """,
    "interviews": """
        Participant 2 | Interviewer | INTERVIEWER 1 | Interviewee | Respondent | Therapist | Patient | Caller
        Host | Co-Host | Guest 2 | Moderator | Question | Audience Member | Panelist 3
    """,
    "de": "Sprecher 1 | SPRECHERIN B | Teilnehmer 3 | Unbekannter Sprecher | Kunde | Ärztin | Frage",
    "fr": "Locuteur 1 | Intervenante 2 | Enquêteur | ENQUETEUR | Médecin | Invitée 1 | Utilisateur | Inconnu",
    "es": "Hablante 2 | Entrevistador | Entrevistada | Usuario | Médico | Invitado 1 | Cliente | Desconocido",
    "pt": "Orador 1 | Falante 2 | Usuário | Entrevistado | Atendente | Desconhecido",
    "it": "Parlante | Parlante 1 | Interlocutore | Interlocutore 2 | Utente | Ospite | Intervistatrice",
    "nl": "Spreker 1 | Deelnemer 2 | Gebruiker | Cliënt | Geïnterviewde | Onbekend",
    "ru": "Говорящий 1 | Спикер 2 | УЧАСТНИК 3 | Пользователь | Врач | Ведущий | Неизвестный говорящий",
    "zh": "说话人1 | 說話人 1 | 发言人 2 | 发言人A | 说话人甲 | 主持人 | 受访者 | 用户 | 未知说话人 | 甲",
    "ja": "話者1 | 話者A | 発言者 2 | スピーカー1 | ｽﾋﾟｰｶｰ1 | 参加者 3 | 司会者 | 質問者 | ユーザー | 不明",
    "ko": "화자 1 | 화자1 | 참석자 2 | 발언자 3 | 상담사 | 내담자 | 면접관 | 사용자 | 알 수 없음",
    "ar": "المتحدث 1 | المتحدث ١ | متحدث 2 | المستخدم | الطبيب | مجهول",
    "hi": "वक्ता 1 | स्पीकर 2 | उपयोगकर्ता | मरीज़ | अज्ञात वक्ता | वक्ता १",
    "tr": "Konuşmacı 1 | KONUŞMACI 2 | Katılımcı 3 | Danışan | Müşteri | Bilinmeyen konuşmacı",
    "pl": "Mówca 1 | Rozmówca 2 | Użytkownik | Gość | Prowadząca | Nieznany",
}
PERSONS = """
    Monica Geller | Nurse Sizemore | Sarah Singer | Paul the Wine Guy | Dr. Rosen | Theo | Ann | A.J.
    Annabelle | Manny | Guy Fieri | Guy M. | Allesandro | Herbert | Hombre Man | Joey's Co-Star
    Fake Monica | Mr. Bing | Bing | Doctor Connelly | Eric (photographer) | Phoebe/Waitress | J.D.
    T. S. Eliot | Judge Reinhold | Agent Smith | User 48213 | 48213 | +49 170 1234567 | Ai | No | Li
    Bo | Ben | R2-D2 | C-3PO | Jean-Claude | Ines Calderón | Christopher Guest | Sprecher Maier
    Mensch Maier | 小明 | 王芳 | 李 | 김철수 | Иван | Анна Петрова | محمد | अमित | さくら | 田中さん
    Ayşe | Łukasz | José | Zoë | François
"""


def names_of(table: str) -> list[str]:
    return [name.strip() for line in table.split("\n") for name in line.split(" | ") if name.strip()]


@pytest.mark.parametrize("name", [name for table in ROLES.values() for name in names_of(table)])
def test_roles_are_not_persons(name: str) -> None:
    assert is_role(name)
    assert identity(name, "d1") != identity(name, "d2")
    assert identity(name, "d1") != identity(name + " 9", "d1")


@pytest.mark.parametrize("name", names_of(PERSONS))
def test_persons_are_the_same_in_every_dialogue(name: str) -> None:
    assert not is_role(name)
    assert identity(name, "d1") == identity(name, "d2") == name


@pytest.mark.parametrize(
    ("corpus", "persons", "roles"), [("emorynlp", 144, 97), ("emorynlp-aligned", 134, 83), ("meld", 174, 96)]
)
def test_the_persons_of_the_corpora_stay(
    corpora: Path, tmp_path: Path, corpus: str, persons: int, roles: int
) -> None:
    conversations = load_conversations(corpus, corpora, cache_dir=tmp_path)
    names = {turn["speaker"] for rows in conversations.values() for row in rows for turn in row["turns"]}
    assert len(conversations.speakers) - 1 == persons and sum(map(is_role, names)) == roles
    assert all(clean_name(name) == name for name in names)
    kinds = speaker_kinds(names)
    assert all(kinds.is_role(name) == is_role(name) for name in names), "no full name makes a role a person"


# Cleaning


@given(st.text())
def test_cleaning_is_idempotent(name: str) -> None:
    cleaned = clean_name(name)
    assert clean_name(cleaned) == cleaned == unicodedata.normalize("NFC", cleaned)
    assert not any(unicodedata.category(char) in ("Cf", "Cc", "Cs") for char in cleaned)
    assert same_case(same_case(name)) == same_case(name)


INVISIBLE = "\u200b\u200c\u200d\u200e\u200f\u202a\u202c\u2066\u2069\ufeff\u00ad\u2060\u034f\ufe0f\u180e\u3164"
VISIBLE = st.text(st.characters(categories=("L", "N")), min_size=1).filter(
    lambda name: clean_name(name) != ""
)


@given(VISIBLE, st.data())
def test_names_that_look_the_same_are_one(name: str, data: st.DataObject) -> None:
    variant = unicodedata.normalize(data.draw(st.sampled_from(("NFC", "NFD"))), name)
    variant = f"\u2068 {variant}\u00a0\u2069"
    place = data.draw(st.integers(0, len(variant)))
    # Between letters an invisible character may keep two of them from composing.
    if unicodedata.normalize("NFC", name).isascii() or place in (0, len(variant)):
        variant = variant[:place] + data.draw(st.sampled_from(INVISIBLE)) + variant[place:]
    assert clean_name(variant) == clean_name(name)


def test_blanks_are_folded_and_letters_composed() -> None:
    assert clean_name("\ufeffInes\u00a0 \u202fCaldero\u0301n\u200f\n") == "Ines Calderón"
    assert clean_name("علی\u200cرضا") == "علیرضا"


def test_the_reader_cleans_names() -> None:
    script = "Ines Caldero\u0301n: We won!\nInes\u00a0Calder\u200bón: Great.\n"
    assert list(read_text(script).speakers) == ["Ines Calderón"]


# Known persons


def test_known_persons_are_found_by_any_unambiguous_spelling() -> None:
    known = KnownNames(["Ross", "Zoe\u0308", "Ann", "ANN"])
    assert known.find("ROSS") == known.find("ross\u200b") == "Ross"
    assert known.find("ZOË") == "Zoe\u0308", "as it is stored"
    assert (known.find("Ann"), known.find("ANN"), known.find("ann")) == ("Ann", "ANN", None)
    assert known.find("Monica") is None


@given(st.lists(VISIBLE, max_size=8), VISIBLE)
def test_a_found_person_differs_by_case_at_most(names: list[str], name: str) -> None:
    found = KnownNames(names).find(name)
    assert found is None or same_case(found) == same_case(name)
    assert all(clean_name(KnownNames(names).find(known) or "") == clean_name(known) for known in names)


# Kinds


def test_family_names_are_persons_beside_a_full_name() -> None:
    assert is_role("Young") and is_role("Cook")
    kinds = speaker_kinds(
        ["Neil Young", "YOUNG", "Mr. Cook", "Cook", "Judge", "Old Judge", "Hombre Man", "Man"]
    )
    persons = [name for name in kinds.names if not kinds.is_role(name)]
    assert persons == ["Neil Young", "YOUNG", "Mr. Cook", "Cook", "Hombre Man"]


def test_a_known_person_is_no_role() -> None:
    kinds = speaker_kinds(["young", "Host"], known=["Young", "SPEAKER_00"])
    assert not kinds.is_role("young") and kinds.is_role("Host")
    assert not speaker_kinds(["SPEAKER_00"], known=["SPEAKER_00"]).is_role("SPEAKER_00")


def test_the_caller_decides() -> None:
    names = ["SPEAKER_00", "Ann", "#ALL#", "Unknown"]
    assert [name for name in names if speaker_kinds(names, "persons").is_role(name)] == ["#ALL#", "Unknown"]
    assert all(map(speaker_kinds(names, "roles").is_role, names))
    for given_names in (["speaker_00"], "speaker_00", ("speaker_00",)):
        kinds = speaker_kinds([*names, "Host"], given_names)
        assert [name for name in kinds.names if kinds.is_role(name)] == ["#ALL#", "Unknown", "Host"]
    assert speaker_kinds((), "Persons").record == "persons" and speaker_kinds((), "A, B").record == ["A", "B"]
    assert speaker_kinds(names, kinds) is kinds


@pytest.mark.parametrize("wrong", [[], "", " , ", ["Ann", 3], 3, None, ["\u200b"]])
def test_other_decisions_are_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="not auto, persons, roles, or the names"):
        speaker_kinds((), wrong)  # type: ignore[arg-type]


def test_versions_tell_decisions_apart() -> None:
    versions = [speaker_kinds((), given).version for given in ("auto", "persons", "roles", "A", "A,B")]
    assert versions[:3] == ["", "+persons", "+roles"] and len(set(versions)) == 5
    assert speaker_kinds((), "B,A").version == versions[4]


def test_what_was_decided_is_told() -> None:
    assert speaker_kinds(["Ann", "#ALL#", "Ben"]).note() == ""
    assert speaker_kinds(["SPEAKER_00", "SPEAKER_01"]).note() == (
        "SPEAKER_00 and SPEAKER_01 are taken for roles of this conversation "
        "(--speakers persons: the same people in every file)"
    )
    assert speaker_kinds(["Host", "Ann"]).note() == (
        "Host is taken for a role of this conversation (--speakers persons: the same person in every file)"
    )
    assert "Host is taken for a person" in speaker_kinds(["Host", "Ann"], "Host").note()
    assert speaker_kinds(["Ann", "Ben"], "roles").note().startswith("Ann and Ben are taken for roles")
    many = speaker_kinds([f"SPEAKER_{number:02}" for number in range(9)]).note()
    assert many.startswith("SPEAKER_00, SPEAKER_01, SPEAKER_02, SPEAKER_03, SPEAKER_04 and 4 more are")


def test_a_named_person_must_be_there() -> None:
    refuse_unknown_persons(speaker_kinds(["Host", "Ann"], "HOST"))
    with pytest.raises(EmoNetError, match=r"no speaker 'Hots'; the speakers are Host, Ann\."):
        refuse_unknown_persons(speaker_kinds(["Host", "Ann"], "Hots"))


def test_known_persons_are_read_once_for_all_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    family_name = names._family_name
    monkeypatch.setattr(names, "_family_name", lambda name: read.append(name) or family_name(name))
    known = KnownNames(["Neil Young", *(f"Person {number}" for number in range(50))])
    for _ in range(3):
        assert not speaker_kinds(["Young", "The Waiter"], known=known).is_role("Young")
    assert read.count("Neil Young") == 1
