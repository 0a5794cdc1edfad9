"""Settings of our own PostgreSQL: sized for the machine, safe unless asked otherwise."""

import pytest

from mbaas.adapters.postgres.cluster.sizing import checked, memory_limit, sized_settings
from mbaas.core.errors import ConfigError

GIB = 1024**3


@pytest.mark.parametrize(
    ("memory", "shared_buffers", "effective_cache_size"),
    [(GIB // 4, "16MB", "128MB"), (GIB, "64MB", "512MB"), (24 * GIB, "1024MB", "12288MB")],
)
def test_buffers_follow_the_memory_within_bounds(memory: int, shared_buffers: str, effective_cache_size: str) -> None:
    settings = sized_settings(memory)
    assert settings["shared_buffers"] == shared_buffers
    assert settings["effective_cache_size"] == effective_cache_size


def test_a_limit_of_the_control_group_or_the_machine_is_found() -> None:
    assert memory_limit() > 64 * 1024 * 1024


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit"])
@pytest.mark.parametrize("text", ["off", "OFF", "false", "no", "0", "of", "f", "nonsense"])
def test_an_unsafe_setting_is_refused_however_it_is_spelled(name: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked({name: text}, unsafe_dev=False)
    assert name in caught.value.message
    assert "--unsafe-dev" in (caught.value.hint or "")


def test_an_unsafe_setting_that_is_asked_for_is_kept_and_told() -> None:
    assert checked({"fsync": "off"}, unsafe_dev=True) == {"fsync": "off", "mbaas.unsafe_dev": "on"}


def test_the_safe_ones_are_spelled_out_and_may_be_chosen_among() -> None:
    assert checked({}, unsafe_dev=False) == {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
    assert checked({"synchronous_commit": "remote_apply"}, unsafe_dev=False)["synchronous_commit"] == "remote_apply"
