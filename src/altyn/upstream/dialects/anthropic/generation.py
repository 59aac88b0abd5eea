"""What changed from one generation of Claude to the next, told by the model's name."""

import re
from functools import lru_cache

from msgspec import Struct

_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[.-](\d{1,2}))?(?!\d)")


class Generation(Struct, frozen=True):
    """What a model takes besides what all of them take."""

    answers_by_schema: bool
    """`output_config.format`, and `strict` tools: from 4.5 on. Before, a tool has to be forced."""

    thinks_adaptively: bool
    """`thinking.type` adaptive with an effort: from 4.6 on. Before, a budget in tokens."""


@lru_cache(maxsize=256)
def find_generation(upstream_model: str) -> Generation:
    """By `claude-3-7-sonnet-…` or `claude-sonnet-4-5-…`; a name that tells nothing is a 4.5."""
    told = _VERSION.search(upstream_model)
    version = (int(told[1]), int(told[2] or 0)) if told else (4, 5)
    return Generation(answers_by_schema=version >= (4, 5), thinks_adaptively=version >= (4, 6))
