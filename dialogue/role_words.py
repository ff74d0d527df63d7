"""List the words of roles: scripts' small parts, diarizers' labels, chats, interviews.

A name is a role if all its words are listed, see `dialogue/names.py`. Accents and case
do not count; an underscore joins the words of a phrase.
"""

# Small parts of a script. "Casting Director No. 1" is a role, "Nurse Sizemore" a person.
_PARTS = """
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
"""

# The other side of a chat is another person in every chat.
_CHATS = """
    assistant bot chatbot chatgpt developer function gpt human llm model system tool user
"""

_BY_LANGUAGE = {
    "en": """
        adviser advisor analyst anchor anonymous answer applicant callee candidate center centre ch channel
        client clinician co-host cohost commentator consultant correspondent counsellor counselor debater
        discussant examinee examiner facilitator informant int interviewee investigator member mic
        moderator multiple panelist panellist participant physician psychiatrist psychologist question
        receiver recipient recruiter rep representative researcher respondent sender service side sp
        speakers spk spkr subject support therapist track tutor unclear unidentified unk unnamed various
    """,
    "de": """
        anrufer anruferin antwort arzt aerztin ärztin assistent assistentin befragte befragter benutzer
        benutzerin berater beraterin frage gast gastgeber gastgeberin gesprächspartner interviewerin
        interviewte interviewter klient klientin kunde kundin mensch mitarbeiter mitarbeiterin moderatorin
        nutzer nutzerin patientin proband probandin redner rednerin sprecher sprecherin stimme teilnehmer
        teilnehmerin therapeut therapeutin unbekannt unbekannte unbekannter zuhörer
    """,
    "fr": """
        agente animateur animatrice appelant appelante assistante cliente conseiller conseillère enquêté
        enquêtée enquêteur enquêtrice humain hôte inconnu inconnue interlocuteur interlocutrice intervenant
        intervenante intervieweur intervieweuse interviewé interviewée invité invitée journaliste locuteur
        locutrice médecin modérateur modératrice orateur oratrice parleur participante patiente réponse
        répondant répondante thérapeute utilisateur utilisatrice voix
    """,
    "es": """
        anfitrión anfitriona asistente cliente desconocida desconocido encuestador encuestadora encuestado
        encuestada entrevistada entrevistado entrevistador entrevistadora hablante humano interlocutor
        interlocutora invitada invitado llamante locutor locutora médica médico moderador moderadora orador
        oradora paciente participante persona ponente pregunta presentador presentadora respuesta terapeuta
        usuaria usuario voz
    """,
    "pt": """
        anfitriã anfitrião apresentador apresentadora atendente convidada convidado desconhecida
        desconhecido falante palestrante pessoa resposta pergunta utilizador utilizadora usuária usuário
        assistente
    """,
    "it": """
        chiamante conduttore conduttrice domanda ignoto interlocutore interlocutrice intervistata
        intervistato intervistatore intervistatrice locutore locutrice medico moderatore moderatrice
        operatore operatrice oratore oratrice ospite parlante parlatore partecipante paziente relatore
        relatrice risposta sconosciuta sconosciuto terapista umano utente voce
    """,
    "nl": """
        arts beller cliënt deelnemer gastheer gastvrouw gebruiker geïnterviewde klant medewerker onbekend
        onbekende patiënt presentator presentatrice spreker stem therapeut
    """,
    "ru": """
        агент ассистент ассистентка бот ведущая ведущий врач голос говорящий гость диктор доктор интервьюер
        клиент клиентка модератор неизвестно неизвестная неизвестный неизвестный_говорящий оператор
        пациент пациентка пользователь помощник психолог респондент собеседник собеседница спикер терапевт
        участник участница человек консультант слушатель журналист вопрос ответ мужчина женщина
    """,
    "zh": """
        说话人 說話人 发言人 發言人 讲话人 講話人 说话者 說話者 发言者 發言者 讲者 講者 演讲者 演講者
        说话人未知 未知 未知说话人 未知說話人 未知发言人 未知發言人 参与者 參與者 参会人 參會人 与会者 與會者
        用户 用戶 助手 助理 机器人 機器人 人类 人類 系统 系統 客服 客户 客戶 顾客 顧客 坐席 来电者 來電者
        主持人 主持 嘉宾 嘉賓 记者 記者 采访者 採訪者 受访者 受訪者 访谈者 訪談者 被访者 被訪者 面试官
        面試官 应聘者 應聘者 咨询师 諮詢師 心理咨询师 心理諮詢師 治疗师 治療師 来访者 來訪者 咨询者 求助者
        支持者 患者 病人 医生 醫生 老师 老師 学生 學生 男 女 男士 女士 男声 女声 问 答 問 甲 乙 丙 丁
    """,
    "ja": """
        話者 発話者 発言者 話し手 聞き手 スピーカー 参加者 出席者 不明 不明な話者 話者不明 司会 司会者 進行役
        インタビュアー インタビュイー インタビュワー 面接官 応募者 回答者 質問者 相談者 カウンセラー
        セラピスト クライアント 患者 医師 医者 ユーザー ユーザ アシスタント 人間 ボット システム
        オペレーター オペレータ お客様 顧客 ホスト ゲスト モデレーター パネリスト 男性 女性 先生 生徒 記者
    """,
    "ko": """
        화자 발화자 발언자 참석자 참가자 참여자 스피커 사용자 유저 어시스턴트 사람 봇 챗봇 시스템 상담사
        상담원 상담자 내담자 고객 환자 의사 면접관 면접자 지원자 인터뷰어 인터뷰이 응답자 질문자 진행자 사회자
        게스트 호스트 기자 미상 알_수_없음 알수없음 알_수_없는_화자 남자 여자 남성 여성 갑 을
    """,
    "ar": """
        المتحدث متحدث المتحدثة متحدثة المتكلم متكلم المتكلمة المستخدم مستخدم المساعد مساعد العميل عميل
        الوكيل الموظف الضيف ضيف المضيف المذيع المذيعة المحاور المحاورة المقابل الطبيب الطبيبة المريض
        المريضة المعالج المعالجة المشارك مشارك المشاركة المدير المتصل الزبون السائل المجيب مجهول
        متحدث_مجهول متحدث_غير_معروف غير_معروف سؤال جواب
    """,
    "hi": """
        वक्ता स्पीकर प्रतिभागी उपयोगकर्ता यूज़र सहायक असिस्टेंट मानव बॉट ग्राहक एजेंट साक्षात्कारकर्ता
        साक्षात्कारदाता मेज़बान मेहमान अतिथि डॉक्टर मरीज़ मरीज रोगी चिकित्सक अज्ञात अज्ञात_वक्ता प्रश्न उत्तर
        पुरुष महिला
    """,
    "tr": """
        arayan asistan bilinmeyen bilinmiyor danışan danışman doktor görüşmeci hasta hekim katılımcı konuk
        konuşmacı kullanıcı misafir moderatör mülakatçı müşteri sunucu temsilci terapist
    """,
    "pl": """
        ankieter ankieterka asystent asystentka badacz badaczka badany człowiek dzwoniący gospodarz gość
        głos klient klientka konsultant konsultantka lekarka lekarz mówca mówczyni nieznana nieznany
        odpowiedź pacjent pacjentka prowadząca prowadzący pytanie rozmówca rozmówczyni terapeutka
        uczestniczka uczestnik użytkownik
    """,
}


def _words(*texts: str) -> frozenset[str]:
    return frozenset(word.replace("_", " ") for text in texts for word in text.split())


ROLES = _words(_PARTS, _CHATS, *_BY_LANGUAGE.values())
CHAT_ROLES = _words(_CHATS)

# Role words that are family names too: persons where there is a full name (Neil Young).
FAMILY_NAMES = _words(
    "barber bass best bishop child cook driver gast guy judge klient kunde little priest singer tailor young"
)

# Nobody in particular, whoever the others are.
NOBODY = _words(
    """
    unknown unidentified unk unnamed anonymous unbekannt unbekannte unbekannter inconnu inconnue desconocido
    desconocida desconhecido desconhecida ignoto sconosciuto sconosciuta onbekend onbekende неизвестный
    неизвестно неизвестная 未知 未知说话人 未知說話人 未知发言人 未知發言人 说话人未知 不明 不明な話者
    話者不明 미상 알_수_없음 알수없음 알_수_없는 مجهول غير_معروف अज्ञात bilinmeyen bilinmiyor nieznany nieznana
    """
)
