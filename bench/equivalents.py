"""Changes that no test can notice, because nothing is different afterwards, each with its reason.

A change is known by its module, its line as it is written, and what it is: an entry that fits
nothing any more is an error of `bench/mutate.py`.
"""

EQUIVALENTS: dict[tuple[str, str, str], str] = {}
