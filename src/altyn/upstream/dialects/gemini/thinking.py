"""How hard a Gemini model is told to think: a table of families, and how it is applied.

Gemini 2.5 takes a budget in tokens, Gemini 3 a level; the two together are refused with 400. The
budgets for `low`, `medium` and `high` are those of Google's own layer for OpenAI's format; limits
from Google's documentation of 2026-10.
"""

from functools import lru_cache
from typing import Any

from msgspec import Struct

Fields = dict[str, Any]

BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
"""Tokens of thought for an effort. `xhigh` and `max` are the most a model takes."""

LEVELS = ("minimal", "low", "medium", "high")


class Family(Struct, frozen=True, kw_only=True):
    """How the models whose names begin alike are told to think."""

    levels: tuple[str, ...] = ()
    """The levels it knows, from little to much; none: it takes a budget, or does not think."""

    budget_min: int = 0
    budget_max: int = 0
    off: int | None = None
    """The budget that switches thinking off; None: it cannot be, and gets the smallest."""

    by_default: bool = True
    """Thinks without being asked to."""

    @property
    def thinks(self) -> bool:
        return bool(self.levels or self.budget_max)

    @property
    def strict_calls(self) -> bool:
        """From Gemini 3 on a call of a tool carries an id, which older models refuse, and a thought
        signature, without which it is refused itself.
        """
        return bool(self.levels)


FAMILIES: dict[str, Family] = {
    "gemini-2.5-pro": Family(budget_min=128, budget_max=32768),
    "gemini-2.5-flash-lite": Family(budget_min=512, budget_max=24576, off=0, by_default=False),
    "gemini-2.5-flash-image": Family(),
    "gemini-2.5-flash": Family(budget_min=1, budget_max=24576, off=0),
    "gemini-2.0": Family(),
    "gemini-1": Family(),
    "gemma": Family(),
    "gemini-3-pro-image": Family(),
    "gemini-3-pro": Family(levels=("low", "high")),
    "gemini-3.1-pro": Family(levels=("low", "medium", "high")),
    "": Family(levels=LEVELS),
}
"""By the start of a model's name; the first that fits. A newer model than these takes levels."""


@lru_cache(maxsize=256)
def find_family(upstream_model: str) -> Family:
    return next(
        family for start, family in FAMILIES.items() if upstream_model.lower().startswith(start)
    )


def write_thinking(fields: Fields, family: Family) -> Fields | None:
    """`thinkingConfig` for the caller's `reasoning` or `reasoning_effort`; None: say nothing.

    Summaries of the thoughts are asked for unless the caller excludes them, as OpenRouter does.
    """
    if not family.thinks:
        return None
    reasoning: Fields = fields.get("reasoning") or {}
    effort = fields.get("reasoning_effort") or reasoning.get("effort")
    if effort is None and reasoning.get("enabled") is False:
        effort = "none"
    config = (
        _level(family, effort, reasoning.get("max_tokens"))
        if family.levels
        else _budget(family, effort, reasoning)
    )
    thinks = family.by_default if "thinkingBudget" not in config else config["thinkingBudget"] != 0
    # To ask for the thoughts of a model that is told not to think is refused with 400.
    if thinks and not reasoning.get("exclude"):
        config["includeThoughts"] = True
    return config or None


def _budget(family: Family, effort: str | None, reasoning: Fields) -> Fields:
    if effort == "none":
        return {"thinkingBudget": family.budget_min if family.off is None else family.off}
    asked = reasoning.get("max_tokens")
    if asked is None and effort is not None:
        asked = BUDGETS.get(effort, family.budget_max)
    if asked is None:
        return {"thinkingBudget": -1} if reasoning.get("enabled") and not family.by_default else {}
    return {"thinkingBudget": max(family.budget_min, min(asked, family.budget_max))}


def _level(family: Family, effort: str | None, budget: int | None) -> Fields:
    """A level the family knows: the asked one, else the next above it, else the highest."""
    if effort is None and budget is not None:
        effort = next((name for name in LEVELS[1:] if budget <= BUDGETS[name]), "high")
    if effort is None:
        return {}
    wanted = 0 if effort == "none" else LEVELS.index(effort) if effort in LEVELS else len(LEVELS)
    level = next((x for x in family.levels if LEVELS.index(x) >= wanted), family.levels[-1])
    return {"thinkingLevel": level}
