"""Limits of what `make measure` prints; those of private API and of called functions take too long for a test."""

import pytest

from benches.readability import LONG, Measures, fragments_of_schema, measure_text


@pytest.fixture(scope="module")
def product() -> Measures:
    return measure_text()


def test_docstrings_begin_with_a_verb(product: Measures) -> None:
    assert len(product.fragments) <= product.docstrings * 0.02, product.fragments


def test_functions_are_not_named_by_a_bare_participle(product: Measures) -> None:
    assert len(product.participles) <= 10, product.participles


def test_few_values_are_typed_as_any(product: Measures) -> None:
    assert len(product.anys) <= 700


def test_no_module_is_long(product: Measures) -> None:
    assert not product.long_modules, f"more than {LONG} lines: {product.long_modules}"


def test_of_a_hundred_lines_three_to_six_are_commented(product: Measures) -> None:
    assert 0.03 <= product.comments / sum(product.modules) <= 0.06


def test_descriptions_of_the_api_are_sentences_or_noun_phrases() -> None:
    assert fragments_of_schema() == []
