"""``python -m mlproject``."""

from mlproject.cli.main import main

main()
