"""Computations of the momentum screen's nodes: functions of their input that write a few log lines."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from statistics import fmean
from typing import Any

from . import price_feed

type Output = dict[str, Any]
type NodeFunction = Callable[[Job], Output]

DIGITS = 6

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One attempt of a node: its config, and the outputs of the preceding nodes by name."""

    inputs: Mapping[str, Any]
    config: Mapping[str, Any]
    attempt: int = 1

    @property
    def merged_inputs(self) -> Output:
        return {key: value for output in self.inputs.values() for key, value in output.items()}


def market_close(job: Job) -> Output:
    """Trigger node: return the day and the stocks of the screen. Raises ValueError for an invalid day."""
    as_of = date.fromisoformat(job.inputs["as_of"])
    tickers = sorted(set(job.inputs["tickers"]))
    logger.info("Screening %d stocks at the close of %s", len(tickers), as_of, extra={"tickers": tickers})
    return {"as_of": as_of.isoformat(), "tickers": tickers}


def load_prices(job: Job) -> Output:
    """Return the prices of each stock in the feed's catalogue, up to the day of the screen."""
    given = job.merged_inputs
    prices = {ticker: _list_days(ticker, date.fromisoformat(given["as_of"])) for ticker in given["tickers"]}
    return {"as_of": given["as_of"], "prices": prices}


def _list_days(ticker: str, as_of: date) -> Output:
    days = [day.isoformat() for day in price_feed.days(ticker, as_of)]
    if not days:
        logger.info("%s: no prices up to %s", ticker, as_of, extra={"days": 0})
        return {"days": 0, "first": None, "last": None}
    logger.info("%s: %d days from %s to %s", ticker, len(days), days[0], days[-1], extra={"days": len(days)})
    return {"days": len(days), "first": days[0], "last": days[-1]}


def momentum(job: Job) -> Output:
    """Return a stock's return over `lookback_days` that ended `skip_days` ago, and its price relative to its mean."""
    ticker, given = job.config["ticker"], job.merged_inputs
    prices = _fetch(ticker, job.attempt, date.fromisoformat(given["as_of"]), given["prices"][ticker]["days"])
    trend = _trend(prices, job.config["trend_days"])
    found = _momentum(prices, job.config["lookback_days"], job.config["skip_days"])
    if found["momentum"] is None:
        logger.warning("%s is not ranked: %s", ticker, found["reason"])
    else:
        logger.info("%s: momentum %+.2f %%", ticker, 100 * found["momentum"], extra=found)
    return {"as_of": given["as_of"], "ticker": ticker, **found, "trend": trend}


def _fetch(ticker: str, delivery: int, as_of: date, promised: int) -> list[price_feed.Price]:
    body = price_feed.deliver(ticker, delivery)
    size = {"delivery": delivery, "bytes": len(body)}
    logger.info("%s: delivery %d has %d bytes", ticker, delivery, len(body), extra=size)
    prices = [price for price in price_feed.parse(body) if price.day <= as_of]
    if len(prices) != promised:
        raise ValueError(f"{ticker}: {len(prices)} days were delivered, the catalogue lists {promised}.")
    return prices


def _momentum(prices: list[price_feed.Price], lookback: int, skip: int) -> Output:
    if len(prices) <= lookback:
        # A shorter window would be a different measure, so a stock without the history gets no number.
        return {"momentum": None, "reason": f"{len(prices)} days of prices, {lookback + 1} needed"}
    first, last = prices[-1 - lookback], prices[-1 - skip]
    change = round(last.close / first.close - 1, DIGITS)
    return {"momentum": change, "from": first.day.isoformat(), "to": last.day.isoformat()}


def _trend(prices: list[price_feed.Price], days: int) -> Output | None:
    """Return the last price and the mean of the last `days`, both relative to the first of them."""
    if len(prices) < days:
        return None
    window = [price.close for price in prices[-days:]]
    last, mean = (round(close / window[0], DIGITS) for close in (window[-1], fmean(window)))
    return {"days": days, "last": last, "mean": mean}


def rank(job: Job) -> Output:
    found = sorted(job.inputs.values(), key=lambda output: output["ticker"])
    ranked = sorted((o for o in found if o["momentum"] is not None), key=lambda output: -output["momentum"])
    ranking = [{"rank": i, "ticker": o["ticker"], "momentum": o["momentum"]} for i, o in enumerate(ranked, start=1)]
    unranked = [{"ticker": o["ticker"], "reason": o["reason"]} for o in found if o["momentum"] is None]
    logger.info("Ranked %d stocks, left out %d", len(ranking), len(unranked), extra={"ranking": ranking})
    return {"as_of": found[0]["as_of"], "ranking": ranking, "unranked": unranked}


def market_filter(job: Job) -> Output:
    """Return whether the equal-weight average of the stocks is above its own mean of the trend days."""
    trends = {o["ticker"]: o["trend"] for o in job.inputs.values() if o["trend"]}
    if not trends:
        raise ValueError("No stock has a history long enough for the market filter.")
    average, mean = (round(fmean(trend[key] for trend in trends.values()), DIGITS) for key in ("last", "mean"))
    logger.info("The average is at %s, its mean at %s", average, mean, extra={"risk_on": average > mean})
    return {"risk_on": average > mean, "average": average, "mean": mean, "of": sorted(trends)}


def picks(job: Job) -> Output:
    """Return the best stocks that rose, in equal parts."""
    rising = [row["ticker"] for row in job.merged_inputs["ranking"] if row["momentum"] > 0][: job.config["top"]]
    logger.info("Picked %s", ", ".join(rising) or "nothing: no stock rose")
    return {"picks": [{"ticker": ticker, "weight": round(1 / len(rising), DIGITS)} for ticker in rising]}


def report(job: Job) -> Output:
    given = job.merged_inputs
    chosen = given.get("picks", [])
    summary = f"{_leader(given['ranking'])} {_advice(given['risk_on'], [pick['ticker'] for pick in chosen])}"
    logger.info(summary)
    kept = ("as_of", "ranking", "unranked", "risk_on", "average", "mean")
    return {key: given[key] for key in kept} | {"picks": chosen, "summary": summary}


def _leader(ranking: list[Output]) -> str:
    if not ranking:
        return "No stock could be ranked."
    return f"{ranking[0]['ticker']} leads with {ranking[0]['momentum']:+.1%}."


def _advice(risk_on: bool, tickers: list[str]) -> str:
    if not risk_on:
        return "The market is not above its mean: stay in cash."
    return f"The market is above its mean: hold {' and '.join(tickers)}." if tickers else "No stock rose: stay in cash."


FUNCTIONS: Mapping[str, NodeFunction] = {
    function.__name__: function
    for function in (market_close, load_prices, momentum, rank, market_filter, picks, report)
}
