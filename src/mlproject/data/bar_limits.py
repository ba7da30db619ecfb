"""The limits that daily bars must keep, those of a study and those that a model is served alike."""

PRICES = ("open", "high", "low", "close")

MAX_GAP_DAYS = 12
"""Calendar days; a longer silence means lost rows. Known closures are shorter: 7 days between two
US sessions in September 2001, 11 in Tokyo in May 2019, 12 in the US bank holiday of 1933."""

MAX_PRICE = 1e12
MAX_VOLUME = 1e18
"""No market is near these; they keep out infinity and what overflows in price times volume."""
