"""The numbers, recomputed from prices.csv by other means than the nodes use."""

import csv
from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from executions.models import WorkflowExecution
from pastetrader.demo import price_feed
from pastetrader.demo.nodes import FUNCTIONS, Job, load_prices, market_close, momentum, picks, report
from pastetrader.demo.tests.conftest import execute, node_of, output_of
from pastetrader.demo.workflow import VARIABLES
from workflows.models import Node, Workflow

CSV = Path(__file__).parent.parent / "prices.csv"
CONFIG = {"lookback_days": 252, "skip_days": 21, "trend_days": 200}


def prices() -> dict[str, list[Decimal]]:
    found = defaultdict(list)
    with CSV.open() as file:
        for ticker, _day, close in list(csv.reader(file))[1:]:
            found[ticker].append(Decimal(close))
    return found


def momentum_of(ticker: str, as_of: str, attempt: int = 1) -> Any:
    close = {"Market close": market_close(Job({"as_of": as_of, "tickers": [ticker]}, {}))}
    return momentum(Job({"Load prices": load_prices(Job(close, {}))}, CONFIG | {"ticker": ticker}, attempt))


def test_the_ranking_that_the_report_stores_can_be_recomputed_by_hand(run: WorkflowExecution) -> None:
    by_hand = {t: closes[-22] / closes[-253] - 1 for t, closes in prices().items() if len(closes) >= 253}
    best_first = sorted(by_hand, key=lambda ticker: by_hand[ticker], reverse=True)
    stored = output_of(run, "Report")["ranking"]
    assert [row["ticker"] for row in stored] == best_first == ["GOOG", "IBM", "MSFT", "AAPL"]
    assert [row["rank"] for row in stored] == [1, 2, 3, 4]
    assert [row["momentum"] for row in stored] == [float(round(by_hand[ticker], 6)) for ticker in best_first]


def test_the_report_is_the_output_of_the_run(run: WorkflowExecution) -> None:
    run.refresh_from_db()
    assert run.output_data == {"Report": output_of(run, "Report")}


def test_a_stock_with_a_short_history_is_named_as_not_ranked(run: WorkflowExecution) -> None:
    stored = output_of(run, "Report")
    assert stored["unranked"] == [{"ticker": "FB", "reason": "196 days of prices, 253 needed"}]
    assert output_of(run, "Momentum FB")["momentum"] is None


def test_the_market_filter_can_be_recomputed_by_hand(run: WorkflowExecution) -> None:
    windows = [closes[-200:] for closes in prices().values() if len(closes) >= 200]
    average = [sum(window[i] / window[0] for window in windows) / len(windows) for i in range(200)]
    stored = output_of(run, "Market filter")
    assert stored["average"] == pytest.approx(float(average[-1]), abs=2e-6)
    assert stored["mean"] == pytest.approx(float(sum(average) / 200), abs=2e-6)
    assert stored["risk_on"] is (average[-1] > sum(average) / 200) is False


def test_nothing_is_picked_while_the_market_is_below_its_mean(run: WorkflowExecution) -> None:
    assert node_of(run, "Picks").status == "skipped"
    assert output_of(run, "Report")["picks"] == []
    assert output_of(run, "Report")["summary"].endswith("stay in cash.")


def test_the_best_two_are_picked_while_the_market_is_above_its_mean(screen: Workflow) -> None:
    run = execute(screen, input=VARIABLES | {"as_of": "2012-04-02"})
    stored = output_of(run, "Report")
    assert stored["picks"] == [{"ticker": row["ticker"], "weight": 0.5} for row in stored["ranking"][:2]]


@pytest.mark.parametrize(
    ("as_of", "last"), [("2013-02-24", "2013-01-23"), ("2013-02-22", "2013-01-23"), ("2013-02-25", "2013-01-24")]
)
def test_a_screen_never_looks_past_its_day(as_of: str, last: str) -> None:
    assert momentum_of("MSFT", as_of)["to"] == last


def test_the_first_delivery_of_ibm_breaks_off_within_a_row_and_the_second_is_whole() -> None:
    first, second = price_feed.deliver("IBM", 1), price_feed.deliver("IBM", 2)
    assert second.startswith(first)
    assert not first.endswith(b"\n")
    with pytest.raises(price_feed.MalformedRowError, match=r"^Line 409 is not a price row"):
        price_feed.parse(first)
    assert [price.day for price in price_feed.parse(second)] == price_feed.days("IBM", date.max)


@pytest.mark.parametrize(
    "row", [b"2013-03-0", b"2013-03-01,\n", b"2013-03-01,1\xef\xbf\xbd7\n", b"\n", b"2013-13-01,1\n"]
)
def test_a_garbled_row_is_refused_by_its_line(row: bytes) -> None:
    with pytest.raises(price_feed.MalformedRowError, match=r"^Line 3 is not a price row"):
        price_feed.parse(b"date,adj_close\n2013-02-28,1.5\n" + row)


def test_a_price_that_was_cut_short_is_not_taken_for_a_smaller_price() -> None:
    with pytest.raises(price_feed.MalformedRowError, match="Line 2"):
        price_feed.parse(b"date,adj_close\n2013-02-28,17")


def test_a_delivery_that_lacks_days_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = price_feed.deliver("MSFT", 1)
    monkeypatch.setattr(price_feed, "deliver", lambda *_: whole[: whole.rindex(b"2013-03-01")])
    with pytest.raises(ValueError, match="542 days were delivered, the catalogue lists 543"):
        momentum_of("MSFT", "2013-03-01")


def test_an_unknown_stock_is_refused_with_the_known_ones() -> None:
    with pytest.raises(LookupError, match="no prices of XYZ; it has AAPL, FB, GOOG, IBM, MSFT"):
        momentum_of("XYZ", "2013-03-01")


def test_a_stock_without_a_price_yet_is_not_ranked() -> None:
    found = momentum_of("FB", "2012-01-03")
    assert (found["momentum"], found["reason"], found["trend"]) == (None, "0 days of prices, 253 needed", None)


def test_no_stock_that_fell_is_picked() -> None:
    ranking = [{"rank": 1, "ticker": "A", "momentum": 0.1}, {"rank": 2, "ticker": "B", "momentum": -0.1}]
    assert picks(Job({"Ranking": {"ranking": ranking}}, {"top": 2})) == {"picks": [{"ticker": "A", "weight": 1.0}]}
    assert picks(Job({"Ranking": {"ranking": ranking[1:]}}, {"top": 2})) == {"picks": []}


def test_a_market_without_a_long_history_cannot_be_judged() -> None:
    with pytest.raises(ValueError, match="No stock has a history long enough"):
        FUNCTIONS["market_filter"](Job({"Momentum FB": {"ticker": "FB", "trend": None}}, {}))


def test_a_report_without_a_ranked_stock_says_so() -> None:
    ranking: dict[str, Any] = {"as_of": "2012-06-01", "ranking": [], "unranked": []}
    market = {"risk_on": True, "average": 1.1, "mean": 1.0}
    found = report(Job({"Ranking": ranking, "Market filter": market, "Picks": {"picks": []}}, {}))
    assert found["summary"] == "No stock could be ranked. No stock rose: stay in cash."


def test_every_node_of_the_screen_names_a_function_that_exists(screen: Workflow) -> None:
    assert {node.config["function"] for node in Node.objects.filter(workflow=screen)} == set(FUNCTIONS)
