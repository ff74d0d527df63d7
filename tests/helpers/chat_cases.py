"""Chats as exporters of many messengers and languages write them, with their turns."""

from whatsapp_cases import ATTACHED, EDITED, GREAT, NOTICE, WHATSAPP, WON, Case

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
