"""Chats as WhatsApp exports them in many languages, with their turns."""

from typing import NamedTuple

WON, GREAT = ("Anna", "We won!"), ("Ben", "Great.")
LRM, NNBSP, NBSP = "\u200e", "\u202f", "\u00a0"


class Case(NamedTuple):
    """A chat, its form, the turns that come out, and the notes."""

    name: str
    form: str
    text: str
    turns: list[tuple[str, str]]
    notes: list[str] = []


def whatsapp(name: str, first: str, second: str) -> Case:
    """Two messages and a notice under the stamps of a language."""
    return Case(
        f"whatsapp-{name}",
        "WhatsApp export",
        f"{first}Anna: We won!\n{second}Ben: Great.\n{second}Anna added Ben\n",
        [WON, GREAT],
        ["1 line without a sender left out"],
    )


def omitted(name: str, text: str, kind: str = "1 message without words left out") -> Case:
    """A message without words between two others."""
    stamp = "12.05.23, 14:45 - "
    return Case(
        f"left-out-{name}",
        "WhatsApp export",
        f"{stamp}Anna: We won!\n{stamp}Anna: {text}\n{stamp}Ben: Great.",
        [WON, GREAT],
        [kind],
    )


DELETED, NOTICE = "1 deleted message left out", "1 line without a sender left out"
EDITED, ATTACHED = "1 edit mark left out", "1 attachment left out"

WHATSAPP = [
    Case(
        "whatsapp-android",
        "WhatsApp export",
        "12/05/23, 2:45 PM - Anna: We won!\n"
        "12/05/23, 2:46 PM - Ben: I knew it: we are the best.\n"
        "12/05/23, 2:47 PM - Messages and calls are end-to-end encrypted.\n"
        "12/05/23, 2:48 PM - Anna: first line\n"
        "second line of the same message\n",
        [WON, ("Ben", "I knew it: we are the best."), ("Anna", "first line second line of the same message")],
        [NOTICE],
    ),
    Case(
        "whatsapp-iphone",
        "WhatsApp export",
        "[12/05/23, 2:45:01\u202fPM] Winners: \u200eMessages and calls are end-to-end encrypted. No one "
        "outside of this chat, not even WhatsApp, can read or listen to them.\n"
        "[12/05/23, 2:45:02\u202fPM] Winners: \u200eAnna created this group\n"
        "[12/05/23, 2:45:03\u202fPM] Anna: We won!\n"
        "\u200e[12/05/23, 2:45:04\u202fPM] Anna: \u200eimage omitted\n"
        "[12/05/23, 2:45:05\u202fPM] Ben: Great. \u200e<This message was edited>\n"
        "[12/05/23, 2:45:06\u202fPM] ~\u202fCleo: hi\n",
        [WON, GREAT, ("Cleo", "hi")],
        ["2 lines without a sender left out", "1 message without words left out", EDITED],
    ),
    Case(
        "whatsapp-names",
        "WhatsApp export",
        "12/05/23, 2:45 PM - \u202a+49 170 1234567\u202c: We won!\n"
        "12/05/23, 2:46 PM - Mom 💛 :): Great.\n"
        "12/05/23, 2:47 PM - Dr. Anna-Lena O'Neil (work): yes\n"
        "12/05/23, 2:48 PM - ~ Ben: and: so\n"
        "12/05/23, 2:49 PM - Anna Added Value: We left: bye\n",
        [
            ("+49 170 1234567", "We won!"),
            ("Mom 💛 :)", "Great."),
            ("Dr. Anna-Lena O'Neil (work)", "yes"),
            ("Ben", "and: so"),
            ("Anna Added Value", "We left: bye"),
        ],
    ),
    Case(
        "whatsapp-notices-with-colons",
        "WhatsApp export",
        '12/05/23, 2:45 PM - Anna changed the subject to "Plan: B"\n'
        '12/05/23, 2:45 PM - Anna created group "Plan: A"\n'
        "12/05/23, 2:45 PM - Anna changed the group name to Plan: C\n"
        "12/05/23, 2:45 PM - Anna hat den Betreff von „Alt“ zu „Plan: B“ geändert\n"
        "12/05/23, 2:45 PM - Anna a changé le sujet : « Plan : B »\n"
        "12/05/23, 2:45 PM - Anna cambió el asunto a “Plan: B”\n"
        "12/05/23, 2:45 PM - Анна изменила тему на «План: Б»\n"
        "12/05/23, 2:45 PM - Annaがグループ名を「作戦: B」に変更しました\n"
        "12/05/23, 2:45 PM - Anna added Ben\n"
        "12/05/23, 2:46 PM - Anna: We won!\n",
        [WON],
        ["9 lines without a sender left out"],
    ),
    Case(
        "whatsapp-links-and-lists",
        "WhatsApp export",
        "12/05/23, 2:45 PM - Anna: See https://example.org/a:b\n"
        "\n"
        "To buy:\n"
        "- milk: 2\n"
        "12/05/23, 2:46 PM - Ben: Great.\n",
        [("Anna", "See https://example.org/a:b To buy: - milk: 2"), GREAT],
    ),
    Case(
        "whatsapp-caption",
        "WhatsApp export",
        "12/05/23, 2:45 PM - Anna: IMG-20230512-WA0001.jpg (file attached)\n"
        "We won!\n"
        "12/05/23, 2:46 PM - Ben: Great.\n",
        [WON, GREAT],
        [ATTACHED],
    ),
    Case(
        "whatsapp-iphone-media",
        "WhatsApp export",
        "[12.05.23, 14:45:01] Anna: We won!\n"
        "\u200e[12.05.23, 14:45:02] Anna: \u200e<Anhang: 00000012-PHOTO-2023-05-12.jpg>\n"
        "\u200e[12.05.23, 14:45:03] Ben: a.pdf • \u200e3 Seiten \u200eDokument weggelassen\n"
        "[12.05.23, 14:46:03] Ben: Great.\n",
        [WON, GREAT],
        ["2 messages without words left out"],
    ),
    whatsapp("english-uk", "12/05/2023, 14:45 - ", "12/05/2023, 14:46 - "),
    whatsapp("english-nnbsp", f"5/12/23, 2:45{NNBSP}PM - ", f"5/12/23, 2:46{NNBSP}PM - "),
    whatsapp("english-lower", f"12/05/23, 2:45{NBSP}pm - ", f"12/05/23, 2:46{NBSP}pm - "),
    whatsapp("german", "12.05.23, 14:45 - ", "12.05.23, 14:46 - "),
    whatsapp("german-old", "12.05.2023, 14:45 Uhr - ", "12.05.2023, 14:46 Uhr - "),
    whatsapp("german-um", "12.05.23 um 14:45 - ", "12.05.23 um 14:46 - "),
    whatsapp("german-iphone", "[12.05.23, 14:45:01] ", f"{LRM}[12.05.23, 14:46:01] "),
    whatsapp("french", "12/05/2023, 14:45 - ", "12/05/2023, 14:46 - "),
    whatsapp("french-old", "12/05/2023 à 14:45 - ", "12/05/2023 à 14:46 - "),
    whatsapp("french-canada", "2023-05-12 14 h 45 - ", "2023-05-12 14 h 46 - "),
    whatsapp("spanish", f"12/5/23, 2:45{NBSP}p.{NBSP}m. - ", f"12/5/23, 2:46{NBSP}p.{NBSP}m. - "),
    whatsapp("spanish-am", "12/5/2023, 9:45 a. m. - ", "12/5/2023, 9:46 a. m. - "),
    whatsapp("spanish-plain", "12/5/23 14:45 - ", "12/5/23 14:46 - "),
    whatsapp("portuguese", "12/05/2023 14:45 - ", "12/05/2023 14:46 - "),
    whatsapp("portuguese-comma", "12/05/23, 14:45 - ", "12/05/23, 14:46 - "),
    whatsapp("italian", "12/05/23, 14:45 - ", "12/05/23, 14:46 - "),
    whatsapp("dutch", "12-05-2023 14:45 - ", "12-05-2023 14:46 - "),
    whatsapp("dutch-iphone", "[12-05-2023 14:45:01] ", "[12-05-2023 14:46:01] "),
    whatsapp("russian", "12.05.2023, 14:45 - ", "12.05.2023, 14:46 - "),
    whatsapp("turkish", "12.05.2023 14:45 - ", "12.05.2023 14:46 - "),
    whatsapp("turkish-half", "12.05.2023 ÖS 2:45 - ", "12.05.2023 ÖS 2:46 - "),
    whatsapp("hindi", "12/05/23, 2:45 अपराह्न - ", "12/05/23, 2:46 अपराह्न - "),
    whatsapp("arabic", "١٢/٥/٢٠٢٣، ٢:٤٥ م - ", "١٢/٥/٢٠٢٣، ٢:٤٦ م - "),
    whatsapp(
        "arabic-marks", "\u200f12\u200f/5\u200f/2023، 2:45 م - ", "\u200f12\u200f/5\u200f/2023، 2:46 م - "
    ),
    whatsapp("japanese", "2023/05/12 14:45 - ", "2023/05/12 14:46 - "),
    whatsapp("japanese-iphone", "[2023/05/12 14:45:01] ", "[2023/05/12 14:46:01] "),
    whatsapp("chinese", "2023/5/12 下午2:45 - ", "2023/5/12 下午2:46 - "),
    whatsapp("chinese-iphone", "[2023/5/12 下午2:45:01] ", "[2023/5/12 下午2:46:01] "),
    whatsapp("chinese-24", "[2023/5/12 14:45:01] ", "[2023/5/12 14:46:01] "),
    whatsapp("korean", "2023. 5. 12. 오후 2:45 - ", "2023. 5. 12. 오후 2:46 - "),
    whatsapp("swedish", "2023-05-12 14:45 - ", "2023-05-12 14:46 - "),
    whatsapp("finnish", "12.5.2023 klo 14.45 - ", "12.5.2023 klo 14.46 - "),
    whatsapp("indonesian", "12/05/23 14.45 - ", "12/05/23 14.46 - "),
    whatsapp("hungarian", "2023. 05. 12. 14:45 - ", "2023. 05. 12. 14:46 - "),
    whatsapp("greek", "12/5/23, 2:45 μ.μ. - ", "12/5/23, 2:46 μ.μ. - "),
    whatsapp("months", "12 May 2023, 14:45 - ", "12 May 2023, 14:46 - "),
    whatsapp("old-iphone", "12.05.14 14:45:01: ", "12.05.14 14:46:01: "),
    whatsapp("copied", "[14:45, 12.05.2023] ", "[14:46, 12.05.2023] "),
    whatsapp("copied-phone", "[12/05, 2:45 PM] ", "[12/05, 2:46 PM] "),
    whatsapp("en-dash", "12/05/2023, 14:45 – ", "12/05/2023, 14:46 – "),
    *[
        omitted(name, text)
        for name, text in {
            "english": "<Media omitted>",
            "english-iphone": "image omitted",
            "german": "<Medien ausgeschlossen>",
            "german-iphone": f"{LRM}Bild weggelassen",
            "french": "<Médias omis>",
            "french-iphone": "image absente",
            "spanish": "<Multimedia omitido>",
            "spanish-iphone": "imagen omitida",
            "portuguese": "<Mídia oculta>",
            "portuguese-iphone": "imagem ocultada",
            "italian": "<Media omessi>",
            "italian-iphone": "immagine omessa",
            "dutch": "<Media weggelaten>",
            "dutch-iphone": "afbeelding weggelaten",
            "russian": "<Без медиафайлов>",
            "russian-iphone": "изображение отсутствует",
            "turkish": "<Medya dahil edilmedi>",
            "hindi": "<मीडिया छोड़ा गया>",
            "arabic": "<تم استبعاد الوسائط>",
            "japanese": "<メディアは含まれていません>",
            "japanese-iphone": "画像は省略されました",
            "chinese": "<省略多媒體檔案>",
            "chinese-iphone": "图片已忽略",
            "korean": "<미디어 파일을 제외한 내용>",
            "file": "IMG-20230512-WA0001.jpg (Datei angehängt)",
            "place": "Standort: https://maps.google.com/?q=48.1,11.5",
            "empty": "",
        }.items()
    ],
    *[
        omitted(name, text, DELETED)
        for name, text in {
            "deleted-english": "This message was deleted",
            "deleted-own": "You deleted this message.",
            "deleted-german": "Diese Nachricht wurde gelöscht.",
            "deleted-french": "Ce message a été supprimé",
            "deleted-spanish": "Se eliminó este mensaje.",
            "deleted-portuguese": "Mensagem apagada",
            "deleted-italian": "Questo messaggio è stato eliminato",
            "deleted-dutch": "Dit bericht is verwijderd",
            "deleted-russian": "Данное сообщение удалено",
            "deleted-turkish": "Bu mesaj silindi",
            "deleted-japanese": "このメッセージは削除されました",
            "deleted-chinese": "此訊息已刪除",
            "deleted-arabic": "تم حذف هذه الرسالة",
        }.items()
    ],
    omitted("call", "Missed voice call", NOTICE),
    omitted("encryption", f"{LRM}Nachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt.", NOTICE),
]
