"""The log of the old program, line by line, trial by trial, launch by launch, study by study.

Which reader a line is shown to is decided in `recovery.sources.reader`.
"""
