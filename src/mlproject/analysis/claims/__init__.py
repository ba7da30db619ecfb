"""What may be claimed of a study from its validation losses: tests that know how many trials and
epochs were tried, and how much one day tells of the next.

Networks and stores are not known here; `mlproject.analysis.summary` logs what is found.
"""
