"""What the parent run shows of a study: settings, best trial, tables, pictures, a note.

The runs of the trials are not written here.
"""
