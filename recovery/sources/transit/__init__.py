"""What happened to a log on its way here, undone: encodings, prefixes, wrapped and escaped lines.

Each is seen from the log itself, only where it can be proven, and remarked.
"""
