"""Any value at any key of the config: it is taken, or refused by the key, and nothing else."""

import math
import tempfile
from pathlib import Path

import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.config.test_ranges import NUMBERS, TYPES, tree_with
from vfer.config.keys import alternatives
from vfer.config.parser import parse
from vfer.config.ranges import range_of

numbers = st.integers() | st.integers(-3, 300) | st.floats() | st.floats(0, 2) | st.just(10**400)
others = st.none() | st.booleans() | st.text(max_size=6) | st.just("nan") | st.just("1e400")
values = numbers | others | st.lists(numbers | others, max_size=2) | st.dictionaries(
    st.text(min_size=1, max_size=3), numbers, max_size=2
)  # fmt: skip


def taken(key, value):
    """Whether a config file with a value at a key is taken; what is said where it is not."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "c.yaml")
        text = yaml.safe_dump(tree_with(key, value), allow_unicode=True)
        path.write_text(text, encoding="utf-8")
        try:
            parse("vfer.fit", ["--config", str(path)])
        except ValueError as error:  # status 2
            return False, str(error)
    return True, ""


@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(key=st.sampled_from(NUMBERS), value=values)
def test_a_number_is_taken_within_its_range_or_refused_by_its_key(key, value):
    good, said = taken(key, value)
    if not good:
        assert key in said or key.rpartition(".")[0] in said, said
        assert len(said) < 2000
        return
    wanted = range_of(key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        assert math.isfinite(value)
        assert value in wanted
    else:
        known = alternatives(TYPES[key])
        assert value is None or (isinstance(value, str | list | dict) and set(known) - {int, float})


@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(key=st.sampled_from(sorted({*TYPES} - {*NUMBERS, "data"})), value=values)
def test_any_other_key_is_taken_or_refused_by_its_name(key, value):
    good, said = taken(key, value)
    assert good or key.partition(".")[0] in said, said
