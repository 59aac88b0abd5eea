from altyn.database.engine import Transaction


def test_anonymous(house, as_):
    said = as_().get("/balance")

    assert (said.status, said.code) == (401, "missing_api_key")


def test_somebody_elses(house, as_, alice, bob):
    house.deposit(bob.account_id, "5", f"bobs {bob.account_id}")

    said = as_(alice.key).get(f"/balance?account_id={bob.account_id}")

    assert said.json["balance"] == "10.000000000"


def test_the_balance_is_told_as_decimal_strings(house, as_, alice):
    said = as_(alice.key).get("/balance")

    assert said.status == 200
    assert said.json == {
        "object": "balance",
        "currency": "USD",
        "balance": "10.000000000",
        "held": "0.000000000",
        "available": "10.000000000",
        "total_deposited": "10.000000000",
        "total_used": "0.000000000",
    }


def test_what_was_used_is_taken_off_and_counted(house, as_, alice):
    answer = as_(alice.key).chat()

    told = as_(alice.key).get("/balance").json

    assert told["total_used"] == "0.000001300"
    assert told["balance"] == told["available"] == "9.999998700"
    assert answer.headers["x-balance-available"] == told["available"]


def test_the_balance_is_gross_and_held_money_is_shown_beside_it(house, as_, alice):
    async def hold(tx: Transaction) -> None:
        await tx.execute(
            "UPDATE accounts SET held_nanos = 12000000 WHERE id = $1", alice.account_id
        )

    async def release(tx: Transaction) -> None:
        await tx.execute("UPDATE accounts SET held_nanos = 0 WHERE id = $1", alice.account_id)

    house.write(hold)
    told = as_(alice.key).get("/balance").json
    house.write(release)

    assert (told["balance"], told["held"], told["available"]) == (
        "10.000000000",
        "0.012000000",
        "9.988000000",
    )


def test_a_test_key_sees_the_same_money(house, as_, alice):
    said = as_(alice.test_key).get("/balance")

    assert said.json["balance"] == "10.000000000"
