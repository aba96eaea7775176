"""Whom intervals are over, in words."""

import pytest

from vfer.results.unit import control_text, protocol_title, unit_of, unknown_text


def printed(name, **more):
    return {"protocol": {"name": name, "groups": 5, **more}}


@pytest.mark.parametrize(
    ("protocol", "title", "plural", "people"),
    [
        (printed("losgo"), "LOSGO", "subjects", "people"),
        (printed("official", unit="clip"), "Official folds", "clips", "clips"),
        (printed("cross_corpus"), "Models of another corpus", "subjects", "people"),
        (printed("cross_corpus", unit="clip"), "Models of another corpus", "clips", "clips"),
    ],
)
def test_each_protocol_has_its_words(protocol, title, plural, people):
    unit = unit_of(protocol)
    assert (protocol_title(protocol), unit.plural, unit.people) == (title, plural, people)
    assert unit.known == (people == "people")


def test_another_corpus_shares_no_clips_with_training():
    shared = "one person may be in training and in test clips"
    assert shared in unknown_text(printed("official", unit="clip"))
    assert shared not in unknown_text(printed("cross_corpus", unit="clip"))


def test_a_control_of_clips_is_told_as_it_is_made():
    known = control_text(printed("losgo", control="permuted_labels"))
    clips = control_text(printed("official", unit="clip", control="permuted_labels"))
    assert known == "trained on labels permuted within each subject"
    assert clips == "trained on labels permuted within each official fold"
