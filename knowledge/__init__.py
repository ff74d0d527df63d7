"""Knowledge for systems that read it: concept graphs and valence-arousal lexicons, and
the table made of them.
"""
