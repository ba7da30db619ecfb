"""``python -m mlproject``."""

from mlproject.cli import main

main()
