"""Write what to cite as BibTeX."""

_ENTRIES = {
    "emonet": """@software{{emonet,
  title = {{emonet: emotion recognition in conversation on the Hugging Face stack}},
  author = {{{{The emonet developers}}}},
  version = {{{version}}},
  license = {{Apache-2.0}}
}}""",
    "compm": """@inproceedings{lee-lee-2022-compm,
  title = {{C}o{MPM}: Context Modeling with Speaker's Pre-trained Memory Tracking for Emotion Recognition in
    Conversation},
  author = {Lee, Joosung and Lee, Wooin},
  booktitle = {Proceedings of the 2022 Conference of the North American Chapter of the Association for
    Computational Linguistics: Human Language Technologies},
  pages = {5669--5679},
  year = {2022}
}""",
    "lora": """@inproceedings{hu-etal-2022-lora,
  title = {{LoRA}: Low-Rank Adaptation of Large Language Models},
  author = {Hu, Edward J. and Shen, Yelong and Wallis, Phillip and Allen-Zhu, Zeyuan and Li, Yuanzhi and
    Wang, Shean and Wang, Lu and Chen, Weizhu},
  booktitle = {International Conference on Learning Representations},
  year = {2022}
}""",
    "emorynlp": """@inproceedings{zahiri-choi-2018-emotion,
  title = {Emotion Detection on {TV} Show Transcripts with Sequence-based Convolutional Neural Networks},
  author = {Zahiri, Sayyed M. and Choi, Jinho D.},
  booktitle = {Workshops at the Thirty-Second AAAI Conference on Artificial Intelligence},
  year = {2018}
}""",
    "iemocap": """@article{busso-etal-2008-iemocap,
  title = {{IEMOCAP}: Interactive emotional dyadic motion capture database},
  author = {Busso, Carlos and Bulut, Murtaza and Lee, Chi-Chun and Kazemzadeh, Abe and Mower, Emily and
    Kim, Samuel and Chang, Jeannette N. and Lee, Sungbok and Narayanan, Shrikanth S.},
  journal = {Language Resources and Evaluation},
  volume = {42},
  number = {4},
  pages = {335--359},
  year = {2008}
}""",
    "dailydialog": """@inproceedings{li-etal-2017-dailydialog,
  title = {{D}aily{D}ialog: A Manually Labelled Multi-turn Dialogue Dataset},
  author = {Li, Yanran and Su, Hui and Shen, Xiaoyu and Li, Wenjie and Cao, Ziqiang and Niu, Shuzi},
  booktitle = {Proceedings of the Eighth International Joint Conference on Natural Language Processing},
  pages = {986--995},
  year = {2017}
}""",
    "meld": """@inproceedings{poria-etal-2019-meld,
  title = {{MELD}: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations},
  author = {Poria, Soujanya and Hazarika, Devamanyu and Majumder, Navonil and Naik, Gautam and
    Cambria, Erik and Mihalcea, Rada},
  booktitle = {Proceedings of the 57th Annual Meeting of the Association for Computational Linguistics},
  pages = {527--536},
  year = {2019}
}""",
}


def bibtex(works: list[str], version: str) -> str:
    """Return the entries of works; unknown ones are left out.

    Args:
        works: Their keys: `emonet`, `compm`, `lora`, or the name of a corpus.
        version: The package's.
    """
    entries = {**_ENTRIES, "emonet": _ENTRIES["emonet"].format(version=version)}
    return "\n\n".join(entries[work] for work in works if work in entries)
