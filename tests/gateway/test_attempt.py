"""An attempt on its own, over a desk and a client that only pretend."""

import pytest

from altyn.chat import Fault
from altyn.gateway.attempt import Attempt
from fakes.orders import take


class BrokenDesk:
    """Asks nobody, and fails at the settlement."""

    def __init__(self):
        self.client = self

    async def ask(self, *_):
        raise Fault("connect", "nobody is there")

    async def settle(self, *_):
        raise RuntimeError("a fault of ours")


class Slot:
    left = False

    def spend_tokens(self, tokens):
        pass

    def leave(self):
        self.left = True


async def test_a_fault_of_ours_while_settling_is_an_answer_and_not_silence():
    slot = Slot()

    attempt = Attempt(BrokenDesk(), take(), slot, listener=None, gone=lambda: False)

    with pytest.raises(RuntimeError):
        await attempt.run()
    assert slot.left
