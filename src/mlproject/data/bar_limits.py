"""The limits that daily bars must keep, those of a study and those that a model is served alike."""

PRICES = ("open", "high", "low", "close")

MIN_ROWS = 600
"""199 rows go to the warm-up of the 200-day average and 59 to the first window. Of 600 rows this
leaves 342 windows, and at a horizon of 30 days, after the gaps, 209 to train on, 21 to validate
and 22 to test: about the least that a loss can be averaged over."""

MAX_GAP_DAYS = 12
"""Calendar days; a longer silence means lost rows. Known closures are shorter: 7 days between two
US sessions in September 2001, 11 in Tokyo in May 2019, 12 in the US bank holiday of 1933."""

MAX_PRICE = 1e12
MAX_VOLUME = 1e18
"""No market is near these; they keep out infinity and what overflows in price times volume."""

MAX_MOVE = 5.0
"""The factor between two closes: a fall of 80 % or a rise to five times the price. Known days come
near it (a rise of 301 % of a US stock in January 2021); what is beyond is a slip or a split."""

SPLITS = {
    **{
        f"{new}:1": float(new) for new in (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 100)
    },
    **{"3:2": 1.5, "5:2": 2.5},
    **{f"1:{old}": 1 / old for old in (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 100)},
}
"""New shares for old ones, and by how much a price falls. A smaller one, such as 5:4, is within
what markets do in a day."""
SPLIT_OPEN_TOLERANCE = 0.04
SPLIT_CLOSE_TOLERANCE = 0.15
"""How far open and close may be from the row before divided by the ratio. The open tells: it is
near, while the day after a 5:1 split has closed 12 % higher (a US stock in August 2020), and a
crash of 35 % has opened 5 % from where a 3:2 split would have (another in April 2022)."""

MAX_IDENTICAL_ROWS = 10
"""Two weeks without a change of any price or volume; more were filled in."""

MAX_CLOSES_OUTSIDE = 0.1
"""The share of closes below low or above high that single slips explain."""
