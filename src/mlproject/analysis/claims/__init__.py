"""The statistics behind what is claimed: intervals, shrunken estimates, tests. Pure functions.

None of them knows of MLflow, of a study or of a picture; `docs/claims.md` has their error rates.
"""
