"""Words for people."""


def counted(number: int, noun: str) -> str:
    """Such as ``1 trial`` or ``3 trials``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
