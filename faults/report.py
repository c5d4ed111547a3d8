"""The table of a run: fault, tries, lost, doubled, impossible, seconds until the service was back."""

import statistics
import sys

from .fault_run import Outcome

HEAD = (
    "| fault | tries | lost | doubled | impossible | seconds to recover: median, longest | without a line in the log |"
)
MAX_LISTED = 10  # of each list


def print_table(outcomes: dict[str, Outcome], seed: int, seconds: float, facts: int, back_in: float) -> bool:
    """Print the table and what is wrong. Return whether nothing is."""
    lines = [HEAD, "|---|---|---|---|---|---|---|", *(_row(name, each) for name, each in outcomes.items())]
    tries = sum(each.tries for each in outcomes.values())
    sys.stdout.write("\n".join(["", *lines, ""]))
    sys.stdout.write(f"Seed {seed}: {tries} faults in {seconds / 60:.0f} minutes, {facts} acknowledged facts.\n")
    struck, compared = (sum(getattr(each, part) for each in outcomes.values()) for part in ("struck", "compared"))
    sys.stdout.write(f"{struck:.0f} s to strike and to come back, {compared:.0f} s to compare.\n")
    faults = [fault for name, each in outcomes.items() for fault in _faults(name, each, back_in)]
    sys.stdout.write("\n".join([*faults, "Nothing is wrong." if not faults else f"{len(faults)} are wrong.", ""]))
    return not faults


def _row(name: str, outcome: Outcome) -> str:
    median, longest = statistics.median(outcome.recoveries or [0]), max(outcome.recoveries or [0])
    return (
        f"| {name} | {outcome.tries:,} | {len(outcome.lost)} | {len(outcome.doubled)} | {len(outcome.impossible)} "
        f"| {median:.1f}, {longest:.1f} | {outcome.unlogged} |"
    )


def _faults(name: str, outcome: Outcome, back_in: float) -> list[str]:
    found = [f"{kind}: {each}" for kind in ("lost", "doubled", "impossible", "wrong")
             for each in getattr(outcome, kind)[:MAX_LISTED]]  # fmt: skip
    found += [f"{seconds:.1f} s until it was back" for seconds in outcome.recoveries if seconds > back_in]
    if outcome.unlogged:
        found.append(f"no line in the log, {outcome.unlogged} times")
    return [f"{name}: {each}" for each in found]
