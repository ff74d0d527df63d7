"""Chats as exporters of many messengers and languages write them, with their turns."""

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

OTHERS = [
    Case(
        "telegram-copied",
        "Telegram chat",
        "Anna, [12.05.2023 14:45]\n"
        "We won!\n"
        "\n"
        "Ben Bell, [12.05.23 14:46]\n"
        "[In reply to Anna]\n"
        "Great: at last.\n"
        "\n"
        "Really.\n"
        "\n"
        "Anna, [May 12, 2023 at 2:47:10 PM]:\n"
        "[ Photo ]\n",
        [WON, ("Ben Bell", "Great: at last. Really.")],
        ["1 message without words left out"],
    ),
    Case(
        "discord-export",
        "Discord export",
        "==============================================================\n"
        "Guild: Winners\n"
        "Channel: Text / general\n"
        "Topic: all: of it\n"
        "==============================================================\n"
        "\n"
        "[12-May-23 02:45 PM] Anna\n"
        "We won!\n"
        "\n"
        "{Reactions}\n"
        "👍 (2)\n"
        "\n"
        "[12-May-23 02:46 PM] Ben (pinned)\n"
        "Great.\n"
        "\n"
        "{Attachments}\n"
        "https://cdn.example.org/a.png\n"
        "\n"
        "[12-May-23 02:47 PM] Ben\n"
        "Pinned a message.\n"
        "\n"
        "[12-May-23 02:47 PM] anna#1234\n"
        "and: so\n"
        "on\n"
        "\n"
        "==============================================================\n"
        "Exported 4 message(s)\n"
        "==============================================================\n",
        [WON, GREAT, ("anna#1234", "and: so on")],
        ["2 attachments left out", NOTICE],
    ),
    Case(
        "discord-export-iso",
        "Discord export",
        "[2023-05-12 14:45] Anna\nWe won!\n\n[2023-05-12 14:46] Ben\nGreat.\n",
        [WON, GREAT],
    ),
    Case(
        "discord-copied",
        "Discord text",
        "Anna — Today at 2:45 PM\n"
        "We won!\n"
        "Ben — Yesterday at 2:46 PM\n"
        "Great.\n"
        "[2:47 PM]\n"
        "at last\n"
        "Anna — 05/12/2023 2:48 PM\n"
        "yes (edited)\n",
        [WON, ("Ben", "Great. at last"), ("Anna", "yes")],
        [EDITED],
    ),
    Case(
        "discord-copied-german",
        "Discord text",
        "Anna — heute um 14:45 Uhr\nWe won!\nBen\n — \n12.05.2023 14:46\nGreat.\n",
        [WON, GREAT],
    ),
    Case(
        "slack",
        "Slack text",
        "Anna Bell  2:45 PM\n"
        "We won!\n"
        "2:46\n"
        "at last\n"
        "Friday, May 12th\n"
        "Ben  2:47 PM\n"
        "Great.\n"
        "Cleo  2:48 PM\n"
        "joined #general.\n",
        [("Anna Bell", "We won! at last"), GREAT],
        [NOTICE],
    ),
    Case(
        "slack-brackets",
        "Slack text",
        "anna [2:45 PM]\nWe won!\nben [2:46 PM]\nGreat.\n",
        [("anna", "We won!"), ("ben", "Great.")],
    ),
    Case(
        "teams",
        "Teams chat",
        "[2:45 PM] Anna Bell\nWe won!\n\n[Yesterday 2:46 PM] Ben\nGreat.\n",
        [("Anna Bell", "We won!"), GREAT],
    ),
    Case(
        "google-chat",
        "Google Chat text",
        "Anna Bell, 2:45 PM\nWe won!\nBen, Fri 2:46 PM, Edited\nGreat.\n",
        [("Anna Bell", "We won!"), GREAT],
    ),
    Case(
        "qq",
        "QQ or WeChat export",
        "2023-05-12 14:45:01 安娜(12345678)\n我们赢了！\n\n2023-05-12 14:46:01 Ben<b@qq.com>\nGreat.\n\n",
        [("安娜", "我们赢了！"), GREAT],
    ),
    Case(
        "imessage",
        "iMessage export",
        "May 12, 2023  2:45:01 PM\n"
        "Anna\n"
        "We won!\n"
        "\n"
        "May 12, 2023  2:46:01 PM (Read by you after 5 seconds)\n"
        "Ben\n"
        "Great.\n"
        "Tapbacks:\n"
        "    Loved by Anna\n"
        "\n",
        [WON, GREAT],
        [ATTACHED],
    ),
    Case(
        "kakao-pc",
        "KakaoTalk export",
        "Anna 님과 카카오톡 대화\n"
        "저장한 날짜 : 2023-05-12 14:50:00\n"
        "\n"
        "--------------- 2023년 5월 12일 금요일 ---------------\n"
        "[Anna] [오후 2:45] We won!\n"
        "[Ben] [오후 2:46] Great.\n"
        "[Ben] [오후 2:46] 사진\n"
        "Cleo님이 들어왔습니다.\n",
        [WON, GREAT],
        ["1 message without words left out", NOTICE],
    ),
    Case(
        "kakao-phone",
        "KakaoTalk export",
        "2023년 5월 12일 오후 2:45\n"
        "2023년 5월 12일 오후 2:45, Anna : We won!\n"
        "2023년 5월 12일 오후 2:46, Ben : Great.\n",
        [WON, GREAT],
    ),
    Case(
        "kakao-english",
        "KakaoTalk export",
        "KakaoTalk Chats with Anna\n"
        "Date Saved : 2023-05-12 14:50:00\n"
        "\n"
        "May 12, 2023 at 2:45 PM, Anna : We won!\n"
        "May 12, 2023 at 2:46 PM, Ben : Great.\n",
        [WON, GREAT],
    ),
    Case(
        "line-english",
        "LINE export",
        "[LINE] Chat history with Anna\n"
        "Saved on: 05/12/2023 14:50\n"
        "\n"
        "Fri, 05/12/2023\n"
        "14:45\tAnna\tWe won!\n"
        '14:46\tBen\t"Great.\n'
        'At: last."\n'
        "14:47\tAnna\t[Photo]\n"
        "14:48\t\tCleo joined the group.\n"
        "14:49\tAnna\t☎ Call time 1:23\n"
        "14:50\tAnna unsent a message.\n"
        "\n"
        "Sat, 05/13/2023\n"
        "09:01\tBen\tyes\n",
        [WON, ("Ben", "Great. At: last."), ("Ben", "yes")],
        ["2 messages without words left out", "2 lines without a sender left out"],
    ),
    Case(
        "line-japanese",
        "LINE export",
        "[LINE] Annaとのトーク履歴\n"
        "保存日時：2023/05/12 14:50\n"
        "\n"
        "2023/05/12(金)\n"
        "14:45\tAnna\tやった！\n"
        "14:46\tBen\t[スタンプ]\n"
        "午後2:47\tBen\tすごい\n",
        [("Anna", "やった！"), ("Ben", "すごい")],
        ["1 message without words left out"],
    ),
    Case(
        "line-taiwan",
        "LINE export",
        "[LINE] 與Anna的聊天記錄\n"
        "儲存日期：2023/05/12 14:50\n"
        "\n"
        "2023/05/12（五）\n"
        "下午02:45\tAnna\t我們贏了\n",
        [("Anna", "我們贏了")],
    ),
    Case(
        "line-without-title",
        "LINE export",
        "14:45\tAnna\tWe won!\nScore: 3\n14:46\tBen\tGreat.\n",
        [("Anna", "We won! Score: 3"), GREAT],
    ),
    Case(
        "irssi",
        "IRC log",
        "--- Log opened Fri May 12 14:45:00 2023\n"
        "14:45 -!- anna [~a@host] has joined #won\n"
        "14:45 <@Anna> We won!\n"
        "14:46 < Ben> Great.\n"
        "14:46  * Anna waves\n"
        "14:47 -!- mode/#won [+o anna] by ben\n"
        "--- Day changed Sat May 13 2023\n",
        [WON, GREAT, ("Anna", "waves")],
        ["4 join, part or other notices left out", "1 action (`* name …`) read as turns"],
    ),
    Case(
        "weechat",
        "IRC log",
        "14:45:00 --> | anna (~a@host) has joined #won\n"
        "14:45:01 @Anna | We won!\n"
        "14:46:01   Ben | Great: so | on\n"
        "14:46:02     * | Anna waves\n"
        "14:47:00 <-- | ben (~b@host) has quit (Quit: bye)\n",
        [WON, ("Ben", "Great: so | on"), ("Anna", "waves")],
        ["2 join, part or other notices left out", "1 action (`* name …`) read as turns"],
    ),
    Case(
        "weechat-file",
        "IRC log",
        "2023-05-12 14:45:00\t-->\tanna (~a@host) has joined #won\n"
        "2023-05-12 14:45:01\t@Anna\tWe won!\n"
        "2023-05-12 14:46:01\tBen\tGreat.\n"
        "2023-05-12 14:46:02\t *\tAnna waves\n"
        "2023-05-12 14:46:03\t--\tMode #won [+o anna]\n",
        [WON, GREAT, ("Anna", "waves")],
        ["2 join, part or other notices left out", "1 action (`* name …`) read as turns"],
    ),
    Case(
        "znc",
        "IRC log",
        "[14:45:00] *** Joins: anna (~a@host)\n"
        "[14:45:01] <Anna> We won!\n"
        "[14:46:01] <Ben> Great.\n"
        "[14:46:02] * Anna waves\n"
        "[14:46:03] -NickServ- This nickname is registered.\n",
        [WON, GREAT, ("Anna", "waves")],
        ["2 join, part or other notices left out", "1 action (`* name …`) read as turns"],
    ),
    Case(
        "mirc",
        "IRC log",
        "Session Start: Fri May 12 14:45:00 2023\n"
        "Session Ident: #won\n"
        "[14:45] * Now talking in #won\n"
        "[14:45] <Anna> We won!\n"
        "[14:46] <+Ben> Great.\n"
        "[14:46] * ben (~b@host) has joined #won\n"
        "[14:47] * Anna waves\n"
        "[14:48] * Cleo sets mode: +o anna\n",
        [WON, GREAT, ("Anna", "waves")],
        ["5 join, part or other notices left out", "1 action (`* name …`) read as turns"],
    ),
    Case(
        "hexchat",
        "IRC log",
        "**** BEGIN LOGGING AT Fri May 12 14:45:00 2023\n"
        "\n"
        "May 12 14:45:01 <Anna>\tWe won!\n"
        "May 12 14:46:01 <Ben>\tGreat.\n"
        "May 12 14:46:02 *\tCleo (~c@host) has joined\n",
        [WON, GREAT],
        ["2 join, part or other notices left out"],
    ),
    Case(
        "irc-iso",
        "IRC log",
        "2023-05-12T14:45:01.123Z <Anna> We won!\n2023-05-12T14:46:01+0200 <Ben> Great.\n",
        [WON, GREAT],
    ),
    Case(
        "signal",
        "Signal export",
        "[2023-05-12 14:45:01] Anna: We won!  \n(- Me: 👍, Cleo: ❤ -)\n"
        "[2023-05-12 14:46:01] Me: \n\n> We won!\n> Really: so.\n\nGreat.  ![a.jpg](./media/a.jpg)  \n"
        "[2023-05-12 14:47:01] Anna: (This message was deleted)\n"
        "[2023-05-12 14:48:01] Anna: Missed voice call\n",
        [WON, ("Me", "Great.")],
        [
            "1 reaction left out",
            "1 attachment left out",
            "1 deleted message left out",
            "1 line without a sender left out",
        ],
    ),
    Case(
        "discord-reply",
        "Discord text",
        "Anna — Today at 2:45 PM\nWe won!\n@Anna\nWe won!\nBen — Today at 2:46 PM\nGreat.\n",
        [WON, GREAT],
        ["1 quotation above a reply left out"],
    ),
    Case(
        "teams-reactions",
        "Teams chat",
        "[5/12 2:45 PM] Anna\nWe won!\n\nlike 1\n\n[5/12 2:46 PM] Ben\nGreat.\n",
        [WON, GREAT],
        ["1 reaction left out"],
    ),
    Case(
        "irc-without-clock",
        "IRC log",
        "<Anna> We won!\n<Ben> Great.\n* Anna waves\n",
        [WON, GREAT, ("Anna", "waves")],
        ["1 action (`* name …`) read as turns"],
    ),
]
CASES = [*WHATSAPP, *OTHERS]
