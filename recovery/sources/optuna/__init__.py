"""Optuna storages: those of any program, and what this project's own studies add.

They are read, never written.
"""
