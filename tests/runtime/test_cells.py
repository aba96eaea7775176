"""Cells that begin like formulas."""

from hypothesis import given
from hypothesis import strategies as st

from vfer.runtime.cells import inert, restored

texts = st.text(st.sampled_from("=+-@'\t\r1e.a "), max_size=6) | st.text(max_size=6)


@given(texts)
def test_a_cell_is_read_back_and_is_no_formula(text):
    cell = inert(text)
    assert restored(cell) == text
    if cell[:1] in ("=", "+", "-", "@", "\t", "\r"):
        assert isinstance(float(cell.split(" (")[0].split(",")[0]), float)


def test_formulas_are_text_and_numbers_are_numbers():
    assert inert('=HYPERLINK("x")') == '\'=HYPERLINK("x")'
    assert inert("-1+cmd|' /C calc'!A0") == "'-1+cmd|' /C calc'!A0"
    for cell in (-1, -0.5, "-0.5", "+1e-3", "+36.1 (+0.0 to +83.3), p = 0.062", "anger", "", None):
        assert inert(cell) == cell
