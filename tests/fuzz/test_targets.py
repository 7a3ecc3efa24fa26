"""Each fuzz target for a moment: its seeds, and a few hundred that are cut, joined and damaged by chance."""

from __future__ import annotations

import random

import fuzz_targets as targets
import pytest

from jupyter_containers.errors import ContainersError

ROUNDS = {"archive": 60, "notebook": 100, "spec": 100}
TOKENS = (b"\0", b"\xff" * 4, b"..", b"/", b"\n", b'"', b"${", b"sha256:", b"9" * 30, b"[" * 50, b"-1", b"\x1f\x8b")


def damage(seed: bytes, chance: random.Random) -> bytes:
    data = bytearray(seed)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(5):
            case 0:
                data[at : at + chance.randint(1, 8)] = chance.randbytes(chance.randint(0, 8))
            case 1:
                del data[at:]
            case 2:
                data[at:at] = chance.choice(TOKENS)
            case 3:
                data[at:at] = data[: chance.randint(0, 600)]
            case _:
                if data:
                    data[at % len(data)] ^= 1 << chance.randrange(8)
    return bytes(data)


@pytest.mark.parametrize("name", targets.TARGETS)
def test_any_bytes_end_in_a_value_or_a_told_error(name: str) -> None:
    chance = random.Random(name)
    seeds = targets.SEEDS[name]
    for number in range(ROUNDS.get(name, 300)):
        data = seeds[number] if number < len(seeds) else damage(chance.choice(seeds), chance)
        try:
            targets.TARGETS[name](data)
        except ContainersError as error:
            assert str(error)
        except Exception as error:
            raise AssertionError(f"{name}: {data!r}") from error
