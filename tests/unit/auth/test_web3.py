"""The texts that wallets sign are read in one way or not at all."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from mbaas.modules.auth.web3 import ethereum, solana
from mbaas.modules.auth.web3.message import MAX_LENGTH, parse_message

ADDRESS = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"
HEAD = f"example.com wants you to sign in with your Ethereum account:\n{ADDRESS}\n"
FIELDS = "URI: https://example.com/login\nVersion: 1\nChain ID: 1\nNonce: 32891757\nIssued At: 2026-09-30T16:25:24.000Z"
# What supabase-js writes for a wallet of Solana that has no dialogue of its own.
SOLANA = """example.com wants you to sign in with your Solana account:
Vote111111111111111111111111111111111111111

Version: 1
URI: https://example.com/login
Issued At: 2026-09-30T16:25:24.000Z
Resources
- https://example.com/terms"""


def test_every_field_is_read() -> None:
    more = (
        "\nExpiration Time: 2026-09-30T18:30:00+02:00\nNot Before: 2026-09-30T16:25:24.123456789Z\nRequest ID: one"
        "\nResources:\n- ipfs://bafybeie\n- https://example.com/my.json"
    )
    found = parse_message(f"https://{HEAD}\nI accept: the terms.\n\n{FIELDS}{more}", "Ethereum")
    assert (found.scheme, found.domain, found.address) == ("https", "example.com", ADDRESS)
    assert (found.statement, found.uri, found.network) == ("I accept: the terms.", "https://example.com/login", "1")
    assert found.issued_at == datetime(2026, 9, 30, 16, 25, 24, tzinfo=UTC)
    assert found.expires_at == datetime(2026, 9, 30, 16, 30, tzinfo=UTC)
    assert found.not_before == datetime(2026, 9, 30, 16, 25, 24, 123456, tzinfo=UTC)


@pytest.mark.parametrize("gap", ["\n", "\n\n"])
def test_without_a_statement_there_is_one_empty_line_or_two(gap: str) -> None:
    assert parse_message(HEAD + gap + FIELDS, "Ethereum").statement is None


def test_what_supabase_js_writes_for_solana_is_read() -> None:
    found = parse_message(SOLANA, "Solana")
    assert (found.statement, found.network, found.uri) == (None, None, "https://example.com/login")


def test_a_statement_may_look_like_a_field_and_is_none() -> None:
    found = parse_message(f"{HEAD}\nURI: https://evil.example/\n\n{FIELDS}", "Ethereum")
    assert (found.statement, found.uri) == ("URI: https://evil.example/", "https://example.com/login")


GOOD = f"{HEAD}\nHello.\n\n{FIELDS}"
REFUSED = {
    "nothing": ("", "does not begin"),
    "another chain's": (SOLANA, "does not begin"),
    "words before": (f"I, {GOOD}", "does not begin"),
    "no domain": (GOOD.replace("example.com wants", " wants"), "does not begin"),
    "words after": (GOOD.replace("account:", "account: "), "does not begin"),
    "address alone": (HEAD, "has no address"),
    "no empty line": (GOOD.replace(f"{ADDRESS}\n", f"{ADDRESS}\nx"), "has no address"),
    "carriage returns": (GOOD.replace("\n", "\r\n"), "do not show"),
    "a NUL": (GOOD.replace("Hello", "Hel\0lo"), "do not show"),
    "half a character": (GOOD.replace("Hello", "Hel\ud800lo"), "do not show"),
    "two statements": (GOOD.replace("Hello.", "Hello.\n\nAnd."), "is no field"),
    "an unknown field": (f"{GOOD}\nAdmin: yes", "is no field"),
    "a line at the end": (f"{GOOD}\n", "is no field"),
    "a field twice": (f"{GOOD}\nURI: https://evil.example/", "two lines of URI"),
    "fields after resources": (f"{GOOD}\nResources:\n- a:b\nRequest ID: 1", "after Resources"),
    "no URI": (GOOD.replace("URI: https://example.com/login\n", ""), "has no URI"),
    "no version": (GOOD.replace("Version: 1\n", ""), "has no Version"),
    "another version": (GOOD.replace("Version: 1\n", "Version: 2\n"), "has version 2, not 1"),
    "no time": (GOOD.rpartition("\n")[0], "has no Issued At"),
    "a time without zone": (GOOD.replace(".000Z", ""), "no time of RFC 3339 as Issued At"),
    "a day that is none": (GOOD.replace("09-30", "02-30"), "a day or hour as Issued At that there is not"),
    "digits of others": (GOOD.replace("2026", "２０２６"), "no time of RFC 3339"),
    "a short nonce": (GOOD.replace("32891757", "1"), "less than 8 signs"),
    "a chain that is none": (GOOD.replace("Chain ID: 1", "Chain ID: <b>"), "Chain ID that is none"),
    "a bad expiry": (f"{GOOD}\nExpiration Time: never", "no time of RFC 3339 as Expiration Time"),
    "too long": (GOOD.replace("Hello.", "x" * MAX_LENGTH), "exceed 20KB"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_message_is_told_why(what: str) -> None:
    text, reason = REFUSED[what]
    with pytest.raises(ValueError, match=reason):
        parse_message(text, "Ethereum")


def test_a_signature_made_elsewhere_is_right() -> None:
    """The example in the documentation of ``eth_account``."""
    signature = (
        "0xe6ca9bba58c88611fad66a6ce8f996908195593807c4b38bd528d2cff09d4eb3"
        "3e5bfbbf4d3e39b1a2fd816a7680c19ebebaf3a141b239934ad43cb33fcec8ce1c"
    )
    address = ethereum.parse_address("0x5ce9454909639D2D17A3F753ce7d93fa0b9aB12E")
    raw = ethereum.parse_signature(signature)
    assert ethereum.is_signed("I♥SF".encode(), raw, address)
    assert not ethereum.is_signed("I♥SF!".encode(), raw, address)
    assert not ethereum.is_signed("I♥SF".encode(), raw, ADDRESS)


def test_the_first_example_of_rfc_8032_is_right() -> None:
    signature = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    address = solana.parse_address("FVen3X669xLzsi6N2V91DoiyzHzg1uAgqiT8jZ9nS96Z")
    assert solana.is_signed(b"", bytes.fromhex(signature), address)
    assert not solana.is_signed(b"!", bytes.fromhex(signature), address)


def test_base58_is_read_as_the_chain_writes_it() -> None:
    vote = "0761481d357474bb7c4d7624ebd3bdb3d8355e73d11043fc0da3538000000000"
    assert solana._key("Vote111111111111111111111111111111111111111").hex() == vote
    assert solana._key("1" * 32) == bytes(32)


@pytest.mark.parametrize("text", ["", "0x", ADDRESS[2:], ADDRESS + "0", ADDRESS[:-1] + "g", ADDRESS[:-1] + "٣"])
def test_what_is_no_address_of_ethereum_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="40 hexadecimal digits"):
        ethereum.parse_address(text)


@pytest.mark.parametrize("text", ["", "1" * 31, "1" * 33, "z" * 44, "0" * 32, "l" * 40, "Vote1"])
def test_what_is_no_address_of_solana_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="32 bytes in base58"):
        solana.parse_address(text)


def test_who_has_no_wallets_does_not_load_their_libraries() -> None:
    check = "import sys, mbaas.app; from mbaas.core.later import load_all; load_all(); print('eth_keys' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True).stdout == "False\n"
