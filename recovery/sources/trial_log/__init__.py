"""This project's own trial log, read back into records."""
