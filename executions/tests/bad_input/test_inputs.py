"""The files of bad input are as many as they should be, and hold what they should hold."""

from . import inputs


def test_there_are_at_least_300() -> None:
    kinds = (
        inputs.TEXTS, inputs.VALUES, inputs.BODIES, inputs.FILES, inputs.GRAPHS, inputs.QUERIES, inputs.PATHS,
        inputs.HTTP_REQUESTS,
    )  # fmt: skip
    assert sum(map(len, kinds)) >= 300


def test_a_text_may_be_written_in_pieces() -> None:
    assert inputs.TEXTS["long-combining"] == "a" + "\u0301" * 20_000
    assert inputs.VALUES["400-digits"] == str(10**400)
