"""A house with every vendor's key set, and a fake at every vendor's address."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from vendors import FAKES, KEY, OWN_SERVER, Vendor, reaching

from altyn.catalog.model import Lifecycle, Model, builtin_models
from altyn.catalog.route import add_route
from altyn.control.furnish import connect_vendors
from altyn.database.engine import bump_revision
from altyn.upstream.provider import VENDORS
from fakes.gateway import Customer, Gateway
from fakes.openai_server import FakeOpenAI

MODELS = [model for model in builtin_models() if not model.id.startswith("sandbox/")]
MARKUP_PPM = 175_000


class House:
    """A gateway with every vendor's key set, and a fake at every vendor's address."""

    def __init__(self, gateway: Gateway, fakes: dict[str, FakeOpenAI]) -> None:
        self.gateway = gateway
        self.fakes = fakes
        self.customer: Customer = gateway.add_customer("100")
        gateway.set_markup(MARKUP_PPM)
        self.connect(FAKES)
        self.by_itself = set(
            map(
                tuple,
                gateway.read(
                    "SELECT r.model_id, p.name, r.upstream_model, COALESCE(r.dialect, p.dialect)"
                    " FROM routes r JOIN providers p ON p.id = r.provider_id"
                ),
            )
        )
        gateway.add_upstream(fakes["vllm"].base_url, name="vllm", secret=KEY)
        gateway.write(_forget_every_end)

    def connect(self, vendors: tuple[Vendor, ...]) -> None:
        """As at a start with the variables of these vendors set."""
        app, environ = self.gateway.app, {vendor.variable: KEY for vendor in vendors}
        self.gateway.run(connect_vendors(app.database, self.gateway.seal, environ))
        self.gateway.run(app.look_for_changes())

    def serve(self, model: Model, vendor: Vendor) -> FakeOpenAI:
        """Let one vendor alone serve a model: by its own route, or by one the operator adds."""

        async def only(tx: Any) -> None:
            await tx.execute("DELETE FROM routes WHERE model_id = $1", model.id)
            name, dialect = _at(model, vendor)
            await add_route(
                tx, model_id=model.id, provider=vendor.name, upstream_model=name, dialect=dialect
            )

        self.gateway.write(only)
        return self.fakes[vendor.name]


async def _forget_every_end(tx: Any) -> None:
    """As before the day on which a vendor ended a model: what is proved holds whatever the date."""
    for model in builtin_models():
        alive = msgspec.structs.replace(model, lifecycle=Lifecycle())
        await tx.execute("UPDATE models SET document = $2 WHERE id = $1", model.id, alive.document)
    await bump_revision(tx)


def _at(model: Model, vendor: Vendor) -> tuple[str | None, str | None]:
    """The model's name at a vendor, and the dialect if it is not the vendor's usual one."""
    if vendor.name == "openrouter" or model.native is None:
        return model.openrouter_model, None
    usual = next((known.dialect for known in VENDORS if known.name == vendor.name), "openai-chat")
    return model.native.model, None if model.native.dialect == usual else model.native.dialect


@contextmanager
def open_house(home: Path) -> Iterator[House]:
    with ExitStack() as stack:
        fakes = {vendor.name: stack.enter_context(vendor.fake(vendor.models())) for vendor in FAKES}
        own = tuple(m.native.model for m in MODELS if m.native and m.native.provider is None)
        fakes["vllm"] = stack.enter_context(OWN_SERVER.fake(own))
        stack.enter_context(reaching({v.host: fakes[v.name].port for v in FAKES}))
        gateway = stack.enter_context(Gateway(home))
        yield House(gateway, fakes)
        gateway.wait_until_idle()
        gateway.verify()
