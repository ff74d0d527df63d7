"""The dialogues that a visitor can try with one click."""

EXAMPLES = {
    "A scene": """Maya: Guess what? I got the part! I'm so happy!
Theo: Oh my God, that is so great! I'm so happy for you!
Maya: Thank you! We start on Monday, at nine.
Theo: Wait. Where is my sandwich?
Maya: I threw it away.
Theo: You threw away my sandwich?!
Maya: I'm sorry. I'm really, really sorry.
Theo: Okay. Do you want some coffee?""",
    "WhatsApp export": """12/03/2024, 18:02 - Messages and calls are end-to-end encrypted.
12/03/2024, 18:03 - Lena: We got the flat!!!
12/03/2024, 18:03 - Sam: Oh my God, that's amazing!
12/03/2024, 18:04 - Lena: I know! I'm so excited!
12/03/2024, 18:09 - Sam: What time do they give us the keys?
12/03/2024, 18:10 - Lena: Friday at six.
12/03/2024, 18:40 - Sam: Something's wrong. There's somebody in the house. I'm scared.
12/03/2024, 18:41 - Lena: Oh no! Get out of there!
12/03/2024, 18:55 - Sam: It was the cat. I hate that cat.""",
    "Speech recogniser": """[00:00:01.200] SPEAKER_00: Hi. What can I get you?
[00:00:03.900] SPEAKER_01: Nothing! I waited an hour and you gave my table away!
[00:00:08.100] SPEAKER_00: I'm so sorry. I feel terrible about this.
[00:00:11.500] SPEAKER_01: You people are unbelievable!
[00:00:14.000] SPEAKER_00: There's a table by the window. Dinner is on us tonight.
[00:00:18.300] SPEAKER_01: Oh. Really? That's so sweet! Thank you!""",
    "Subtitles": """1
00:00:02,000 --> 00:00:04,000
NORA: Did you hear that?

2
00:00:04,500 --> 00:00:06,500
ELI: No. What is it?

3
00:00:07,000 --> 00:00:10,000
NORA: There's somebody in the house! I'm so scared!

4
00:00:10,500 --> 00:00:12,500
ELI: Get away from the door!

5
00:00:13,000 --> 00:00:15,500
ALL: Surprise! Happy birthday!

6
00:00:16,000 --> 00:00:19,000
NORA: Oh, you guys! This is wonderful, thank you!""",
}
"""By the text of a button: the script that it puts into the box and has labelled."""
