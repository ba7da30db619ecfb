"""What the parent run shows of a study: best trial, note, table and pictures, live or recovered.

All of it follows from the `TrialRun`s of the study. The runs of the trials are not written here,
nor the settings of the study.
"""
