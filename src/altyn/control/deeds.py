"""Every deed by its name: the table of contents of what a command can ask for."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any, get_type_hints

import msgspec
from msgspec import Struct, structs

from altyn.control import (
    care,
    doctor,
    goods,
    host_list,
    keys,
    models,
    money,
    people,
    price_sheet,
    prices,
    providers,
    routes,
    trial,
)
from altyn.control.office import Office
from altyn.errors import OperatorError, UnknownNameError

Deed = Callable[..., Awaitable[Any]]
"""Takes an office and keyword arguments, answers with structs or plain data."""

DEEDS: dict[str, Deed] = {
    "user.add": people.add_user,
    "user.list": people.show_users,
    "user.freeze": people.freeze_user,
    "user.unfreeze": people.unfreeze_user,
    "user.price_group": people.choose_price_group,
    "key.create": keys.add_key,
    "key.list": keys.show_keys,
    "key.revoke": keys.revoke,
    "deposit": money.deposit,
    "refund": money.refund,
    "balance": money.balance,
    "ledger.verify": money.verify_ledger,
    "provider.add": providers.add,
    "provider.list": providers.show_all,
    "provider.set": providers.change,
    "provider.drain": providers.drain,
    "provider.resume": providers.resume,
    "provider.test": trial.try_out,
    "provider.import": host_list.import_list,
    "provider.remove": providers.remove,
    "route.add": routes.add_one_route,
    "route.list": routes.show_routes,
    "route.strategy": routes.choose_strategy,
    "route.remove": routes.remove_model_routes,
    "catalog.list": goods.show_all,
    "catalog.show": goods.show_one,
    "catalog.import": goods.import_file,
    "model.replace": models.replace,
    "model.retire": models.retire,
    "model.hide": models.hide,
    "model.restore": models.restore,
    "price.set": prices.set_price,
    "price.end": prices.end_price,
    "price.list": prices.show_prices,
    "price.history": prices.show_history,
    "price.export": price_sheet.export_sheet,
    "price.import": price_sheet.import_sheet,
    "markup.set": prices.set_markup_percent,
    "backup": care.back_up,
    "doctor": doctor.examine,
}


async def perform(office: Office, name: str, arguments: Mapping[str, Any]) -> Any:
    """Do one deed, and return what it answers as plain data.

    Raises `UnknownNameError` for a deed nobody knows, `OperatorError` for arguments it does not
    take, and whatever the deed itself raises.
    """
    deed = DEEDS.get(name)
    if deed is None:
        raise UnknownNameError(f"There is no deed '{name}' here: are both Altyns one version?")
    try:
        given = msgspec.convert(arguments, _form(deed))
    except msgspec.ValidationError as error:
        raise OperatorError(f"{name} cannot be done so: {error}.") from None
    answer = await deed(office, **structs.asdict(given))
    # The same plain data, whether it was asked here or over the line.
    return msgspec.json.decode(msgspec.json.encode(answer))


@cache
def _form(deed: Deed) -> type[Struct]:
    """What a deed takes, as a struct: its own signature says it, so nothing is said twice."""
    hints = get_type_hints(deed)
    fields = [
        (name, hints[name])
        if parameter.default is inspect.Parameter.empty
        else (name, hints[name], parameter.default)
        for name, parameter in inspect.signature(deed).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    return msgspec.defstruct("Arguments", fields, kw_only=True, forbid_unknown_fields=True)
