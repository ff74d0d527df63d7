"""Tell a person's words from what messengers write into an export themselves.

Each pattern has the wordings of English, German, French, Spanish, Portuguese, Italian,
Dutch, Russian, Turkish, Hindi, Arabic, Japanese, Chinese and Korean exports.
"""

import re

MARKS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\u061c\ufeff]")  # directions of text


def _any(*patterns: str, flags: re.RegexFlag = re.IGNORECASE) -> re.Pattern[str]:
    """Compile alternatives; a blank stands for any run of blanks."""
    return re.compile("|".join(patterns).replace(" ?", r"\s*").replace(" ", r"\s+"), flags)


_OMITTED = _any(
    r"(?:image|photo|picture|video|audio|sticker|gif|document|file|media|contact card|video note"
    r"|voice message|live location) omitted",
    r"(?:bild|foto|video|audio|sticker|gif|dokument|kontaktkarte|videonachricht|datei|medien)"
    r" (?:weggelassen|ausgelassen|ausgeschlossen)",
    r"(?:image|photo|vidéo|audio|sticker|gif|document|fiche contact|médias?|message vidéo)"
    r" (?:absente?|omise?s?|retirée?|manquante?|exclue?s?)",
    r"(?:imagen|foto|v[ií]deo|[aá]udio|sticker|figurinha|gif|documento|imagem|mídia|multimedia|archivo"
    r"|arquivo|tarjeta de contacto|cartão de contato) (?:omitid[oa]s?|ocultad?[oa]s?|excluíd[oa]s?)",
    r"(?:immagine|foto|video|audio|sticker|gif|documento|scheda contatto|media)"
    r" (?:omess[oaie]|esclus[oaie]|non inclus[oaie])",
    r"(?:afbeelding|foto|video|audio|sticker|gif|document|contactkaart|media) weggelaten",
    r"(?:изображение|фото|видео|аудио(?:файл)?|стикер|gif|документ|карточка контакта|медиафайлы?)"
    r" (?:отсутству[ею]т|опущен[оаы]?|пропущен[оаы]?|не добавлен[оаы]?)",
    r"(?:görüntü|resim|fotoğraf|video|ses|çıkartma|gif|belge|medya|kişi kartı) dahil edilmedi",
    r"(?:चित्र|इमेज|फ़ोटो|फोटो|वीडियो|ऑडियो|स्टिकर|gif|दस्तावेज़|डॉक्यूमेंट|मीडिया)"
    r" (?:को )?(?:छोड़ा गया|छोड़ी गई|छोड़ दिया गया|हटाया गया|हटा दिया गया|शामिल नहीं(?: है| किया गया)?)",
    r"تم (?:استبعاد|إغفال|حذف) (?:الوسائط|الصورة|الفيديو|الصوت|الملصق|المستند)",
    r"(?:الصورة|الفيديو|الصوت|الملصق|المستند|الوسائط) (?:غير مدرجة?|محذوفة?)",
    r"(?:画像|写真|動画|ビデオ|音声|オーディオ|スタンプ|ステッカー|gif|文書|ドキュメント|メディア)"
    r"[はが]?(?:含まれていません|省略されました|省略されています|省略)",
    r"(?:图片|图像|圖片|圖像|影像|照片|视频|視訊|影片|音频|音訊|语音|贴图|貼圖|gif|文件|文档|文檔|檔案|媒体)"
    r"已?被?(?:忽略|省略|略去)",
    r"(?:忽略|省略)(?:图片|圖片|影像|视频|影片|音频|音訊|贴图|貼圖|文件|文档|檔案|媒体|多媒體檔案|多媒体文件)",
    r"已(?:略過|忽略|省略)(?:圖片|影像|影片|視訊|音訊|貼圖|文件|檔案|GIF)",
    r"(?:gambar|foto|video|audio|stiker|gif|dokumen|media|kartu kontak) (?:tidak disertakan|dihilangkan)",
    r"(?:grafika|obraz|zdjęcie|film|wideo|audio|naklejka|gif|dokument|multimedia) pominięt[oea]",
    r"pominięto (?:grafikę|obraz|zdjęcie|film|wideo|audio|naklejkę|gif|dokument|multimedia)",
    r"(?:bild|video|ljud|klistermärke|gif|dokument|media) (?:har )?utelämna(?:ts|d|t)",
    r"(?:사진|이미지|동영상|오디오|스티커|gif|문서|미디어)(?:을|를|이|가)? ?(?:생략됨|생략|제외됨|누락됨)",
)
_ANGLE_OMITTED = re.compile(r"<[^<>]*(?:\s|[^\x00-\u024f])[^<>]*>")  # <Media omitted>, <省略多媒體檔案>
# IMG-1.jpg (file attached), <attached: 1-PHOTO.jpg>, in any language.
_ATTACHED = re.compile(r"\S[^()<>]{0,200}\.\w{2,5} \([^()]{3,40}\)|<[^<>:]{3,30}:\s?[^<>]+\.\w{2,5}>")
# As signal-export writes reactions below a message, and media and stickers in it.
_REACTIONS = re.compile(r"\(- \S.{0,300} -\)")
_MEDIA = re.compile(r"!?\[[^\[\]]*\]\(\.{1,2}/(?:media|exported_stickers)/[^()]*\)|^\(\( .{1,40} \)\)$")
_FILE = re.compile(r"[^<>]{1,200}\.\w{2,5} • .{0,60}")
_PLACE = re.compile(r"[^\W\d_]{3,20}:\shttps://maps\.google\.com/\S+")
_DELETED = _any(
    "(?:this message was deleted|you deleted this message|deleted message)(?: by admin .*)?",
    "diese nachricht wurde gelöscht",
    "du hast diese nachricht gelöscht",
    "ce message a été supprimé",
    "vous avez supprimé ce message",
    "se eliminó este mensaje",
    "este mensaje (?:fue eliminado|se eliminó)",
    "(?:eliminaste|has eliminado) este mensaje",
    "mensagem apagada",
    "esta mensagem foi (?:apagada|eliminada)",
    "(?:você )?apag(?:ou|aste|uei) esta mensagem",
    "questo messaggio è stato eliminato",
    "hai eliminato questo messaggio",
    "dit bericht is verwijderd",
    "(?:u hebt|je hebt|jij hebt) dit bericht verwijderd",
    "(?:данное |это )?сообщение удалено",
    "вы удалили (?:данное|это) сообщение",
    "bu mesaj silindi",
    "bu mesajı sildiniz",
    "(?:यह|इस) (?:संदेश|मैसेज)(?: को)? (?:हटाया|मिटाया|हटा दिया|मिटा दिया|डिलीट किया) गया(?: था| है)?",
    "आपने (?:यह|इस) (?:संदेश|मैसेज)(?: को)? (?:हटाया|मिटाया|हटा दिया|मिटा दिया)(?: है)?",
    "تم حذف هذه الرسالة",
    "(?:لقد )?حذفت هذه الرسالة",
    "このメッセージは削除されました",
    "(?:あなたは)?このメッセージを削除しました",
    "メッセージの送信を取り消しました",
    "(?:此|这条|該)(?:消息|訊息)已(?:被)?(?:删除|刪除|撤回)",
    "[您你]已?(?:删除|刪除|撤回)(?:了)?(?:此|这条|一条)?(?:消息|訊息)",
    "삭제된 메시지입니다",
    "ta wiadomość została usunięta",
    "(?:usunąłeś|usunęłaś|usunięto) tę wiadomość",
    "pesan ini (?:telah )?dihapus",
    "anda (?:telah )?menghapus pesan ini",
    "detta meddelande (?:raderades|har raderats|togs bort)",
    "du (?:raderade|tog bort) detta meddelande",
    "(?:denne meddelelse|denne besked(?:en)?|denne meldingen) (?:er blevet|blev|ble) slettet",
    "tämä viesti poistettiin",
    "tato zpráva byla smazána",
    "ezt az üzenetet törölték",
    "acest mesaj a fost șters",
    "це повідомлення видалено",
    "הודעה זו נמחקה",
    "αυτό το μήνυμα διαγράφηκε",
    "tin nhắn này đã bị xóa",
    "ข้อความนี้ถูกลบ(?:แล้ว)?",
    "این پیام حذف شد",
    "이 메시지는 삭제되었습니다",
)
_EDITED = re.compile(
    r" ?(?:<[^<>]*(?:edited|bearbeitet|modifié|editó|editad|modificat|bewerkt|измен|отредакт|düzenlen|संपादित"
    r"|تعديل|編集|编辑|編輯|수정)[^<>]*>|\(edited\)|\(bearbeitet\)|\(modifié\)|\(editado\))$",
    re.IGNORECASE,
)
# Notices that carry the name of a person or of the group.
_NOTICE = _any(
    r"[^.]{0,90}(?:end-to-end encrypted|ende-zu-ende-verschlüsselt|chiffrés de bout en bout|cifrad[oa]s"
    r" de extremo a extremo|(?:criptografia|criptografadas) de ponta a ponta|encriptadas ponto a ponto"
    r"|crittograf\w+ end-to-end|end-to-end (?:versleuteld|encryptie)|сквозным шифрованием|uçtan uca"
    r" şifreli|एंड-टू-एंड एन्क्रिप्ट|مشفرة تمام|エンドツーエンド|端到端加密|端對端加密|종단간 암호화).*",
    r"(?:missed|silenced) (?:group )?(?:voice|video) call.*",
    r"(?:voice|video) call[,.].*",
    r"(?:incoming|outgoing) (?:voice|video) call(?: \([^()]*\))?",
    r"(?:verpasster|entgangener) (?:sprach|video)anruf.*",
    r"(?:appel (?:vocal|vidéo)|(?:llamada|chamada) (?:de )?(?:voz|vídeo|video)) (?:manqué|perdida).*",
    r"(?:chiamata|videochiamata) (?:vocale )?persa.*",
    r"gemiste (?:spraak|video-?)oproep.*",
    r"пропущенный (?:аудио|видео)?звонок.*",
    r"waiting for this message\. this may take a while.*",
    r"(?:live location shared|shared a contact)",
)
_MARKED_NOTICE = _any(  # behind the mark that iPhones write before a text of their own
    r"(?:you|.{1,60}?) (?:added|removed|left|joined|created|changed|turned|pinned|invited|deleted|blocked"
    r"|unblocked|updated|started|requested|reset|was added|were added|is a contact|are now|is now)\b.*",
    r"(?:du|sie|.{1,60}?) (?:hat|hast|haben|wurde|wurdest) .*",
    r"(?:vous|.{1,60}?) (?:avez|a) (?:créé|ajouté|modifié|changé|retiré|quitté|rejoint).*",
    r".{0,60}?(?:creó|creaste|cambió|añadió|añadiste|eliminó|salió|criou|mudou|adicionou|removeu|saiu) ?.*",
    r".{0,60}?(?:ha|hai) (?:creato|aggiunto|cambiato|modificato|rimosso|abbandonato).*",
)
_SYSTEM_SENDER = _any(
    r"\S.* (?:changed (?:the|this|their|your|to) |added \S|created (?:group|this|the) ?|removed \S|joined"
    r" (?:using|from|via|the) |pinned a |turned (?:on|off) |left the |updated the |set the |invited \S)",
    r"\S.* (?:hat|haben|hast) (?:die Gruppe|den Betreff|den Gruppennamen|das Gruppenbild|diese Gruppe) ?",
    r"(?:Vous|\S.*) (?:avez|a) (?:créé|ajouté|modifié|changé|retiré) ",
    r"\S.* (?:creó|cambió|añadió|agregó|eliminó|criou|mudou|alterou|adicionou|removeu)"
    r" (?:el|la|a|al|o|os|as|\W)",
    r"\S.* ha (?:creato|cambiato|modificato|aggiunto|rimosso) ",
    r"\S.* heeft .{0,30}(?:groep|onderwerp|toegevoegd|gewijzigd)",
    r"\S.* (?:создал|изменил|добавил|удалил)(?:а|\(а\))? ",
    flags=re.UNICODE,  # names have capitals: Anna Added Value
)
_BRACKETED = re.compile(
    r"\[\s?(?:\S{1,4}\s)?(?:photo|video|sticker|voice message|video message|audio|file|gif|animation|location"
    r"|contact|poll|album|note|image|写真|動画|スタンプ|ボイスメッセージ|ファイル|連絡先|位置情報|アルバム|ノート"
    r"|照片|图片|影片|视频|貼圖|表情|动画表情|語音訊息|语音|檔案|文件|位置|사진|동영상|스티커|이모티콘|음성메시지"
    r"|фото(?:графия)?|видео|стикер|голосовое сообщение|аудио|файл|bild|foto|sprachnachricht|datei)\s?\]"
    r"(?:\s\S+\.\w{2,5})?|☎.*",
    re.IGNORECASE,
)
_KAKAO = re.compile(
    r"(?:사진|동영상|이모티콘|사진 \d+장|음성메시지|photo|video|emoticons?|\d+ photos)", re.IGNORECASE
)
_QUOTES = (("“", "”"), ("„", "“”"), ("«", "»"), ("「", "」"), ("《", "》"))

_LONGEST_NOTICE = 400  # characters

WITHOUT_SENDER = "line without a sender"
WITHOUT_WORDS = "message without words"
DELETED = "deleted message"
REACTION = "reaction"
QUOTATION = "quotation above a reply"
EDIT_MARK = "edit mark"
ATTACHMENT = "attachment"


def is_system_sender(sender: str) -> bool:
    """Whether the words before a colon are part of a notice: `Anna changed … "Plan: B"`.

    A quotation that is open at the colon is one in any language.
    """
    if sender.count('"') % 2 or _SYSTEM_SENDER.match(sender + " "):
        return True
    return any(sender.count(opening) > sum(map(sender.count, closing)) for opening, closing in _QUOTES)


def spoken(lines: list[str], form: str) -> tuple[str, str | None]:
    """Keep a person's words of a message.

    Args:
        lines: The message as the export has it.
        form: The title of its form, as in [`Reading`].

    Returns:
        The words, empty without any, and what was left out.
    """
    marked = lines[0].startswith("\u200e")
    kept = [line for raw in lines if (line := " ".join(MARKS.sub("", raw).split()))]
    text = " ".join(kept)
    if len(text) <= _LONGEST_NOTICE:
        if _DELETED.fullmatch(text.rstrip(".。 ").removeprefix("(").removesuffix(")")):
            return "", DELETED
        if _NOTICE.fullmatch(text) or (marked and _MARKED_NOTICE.fullmatch(text)):
            return "", WITHOUT_SENDER
        of_kakao = form.startswith("Kakao") and _KAKAO.fullmatch(text)
        if text == "null" or _is_placeholder(text) or _BRACKETED.fullmatch(text) or of_kakao:
            return "", WITHOUT_WORDS
    quoted = 0 if lines[0].strip() else _quoted_lines(kept)
    said = [line for line in kept[quoted:] if not _REACTIONS.fullmatch(line)]
    left_out = REACTION if len(said) < len(kept) - quoted else QUOTATION if quoted else None
    plain = (_MEDIA.sub("", line).strip() for line in said)
    words = [line for line in plain if line and not _ATTACHED.fullmatch(line)]
    if not words:
        return "", WITHOUT_WORDS
    left_out = left_out if words == said else ATTACHMENT
    before, mark, generated = lines[-1].rpartition("\u200e")  # a caption, then `image omitted`
    if mark and before.strip("\u200e ") and _is_placeholder(generated) and words:
        words[-1], left_out = MARKS.sub("", before).strip(), ATTACHMENT
        if _FILE.fullmatch(words[-1]) and len(words) == 1:
            return "", WITHOUT_WORDS
    text = " ".join(words)
    if edited := _EDITED.search(text, max(0, len(text) - 80)):
        text, left_out = text[: edited.start()], EDIT_MARK
    return text, left_out


def _quoted_lines(lines: list[str]) -> int:
    """How many lines below a name alone quote another message, as Markdown does."""
    return next((at for at, line in enumerate(lines) if not line.startswith(">")), len(lines))


def _is_placeholder(text: str) -> bool:
    text = text.strip(" .。")
    return len(text) <= _LONGEST_NOTICE and bool(
        _OMITTED.fullmatch(text)
        or (_ANGLE_OMITTED.fullmatch(text) and not _EDITED.fullmatch(text))
        or _PLACE.fullmatch(text)
    )
