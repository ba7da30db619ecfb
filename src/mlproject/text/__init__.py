"""Text and files whatever they are about: credentials, escaping, phrases, files written whole.

Nothing here knows a framework, a study or a trial.
"""
