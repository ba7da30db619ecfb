"""This project's own trial log, read back into records.

The format of its lines is in `mlproject.tracking.trial_log_lines`.
"""
