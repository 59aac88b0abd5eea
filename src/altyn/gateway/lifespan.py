"""How long a model can be served: the vendor's dates, the operator's word, and who goes on."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from urllib.parse import urlsplit

from msgspec import Struct

from altyn.catalog.load import Standing
from altyn.catalog.model import Model
from altyn.upstream.provider import VENDORS, Provider
from altyn.upstream.router import Target

MIDDLEMAN = "openrouter"


class Lifespan(Struct, frozen=True, kw_only=True):
    """Who serves a model until when. Times in milliseconds; None: no end is known.

    From `vendor_ends_at` on only `lasting` are asked: providers that are not the vendor's own API,
    nor a middleman that has dropped the model. From `ends_at` on nobody is, by the operator's word.
    """

    targets: tuple[Target, ...]
    lasting: tuple[Target, ...]
    vendor_ends_at: int | None
    ends_at: int | None
    replaced_by: str | None

    def targets_at(self, at_ms: int) -> tuple[Target, ...]:
        if self.ends_at is not None and at_ms >= self.ends_at:
            return ()
        if self.vendor_ends_at is not None and at_ms >= self.vendor_ends_at:
            return self.lasting
        return self.targets

    def retired_at(self, at_ms: int) -> int | None:
        """When it was retired, of a model that has been by now."""
        ends = [end for end in (self.ends_at, self.vendor_ends_at) if end is not None]
        return min(ends) if ends and min(ends) <= at_ms else None


def lifespan(model: Model, standing: Standing, targets: Sequence[Target]) -> Lifespan:
    retires_at = model.retires_at
    return Lifespan(
        targets=tuple(targets),
        lasting=tuple(target for target in targets if _lasts(model, target.provider)),
        vendor_ends_at=None if retires_at is None else _midnight_ms(retires_at),
        ends_at=standing.retires_at,
        replaced_by=standing.replaced_by or model.lifecycle.replaced_by,
    )


def _lasts(model: Model, provider: Provider) -> bool:
    """Whether a provider may go on with a model that its vendor has ended."""
    if model.native is not None and _is_at_vendor(provider, model.native.provider):
        return False
    return not (model.openrouter_listed is False and _is_at_vendor(provider, MIDDLEMAN))


def _is_at_vendor(provider: Provider, vendor: str | None) -> bool:
    # By its address: a server of the operator's own may have any name, and serve what it likes.
    host = urlsplit(provider.base_url).hostname
    return any(
        known.name == vendor and host == urlsplit(known.base_url).hostname for known in VENDORS
    )


def _midnight_ms(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp()) * 1000
