"""The definition of the demo workflow, the momentum screen: its nodes and edges."""

from django.contrib.auth.models import User
from django.db import transaction

from workflows.models import Edge, Node, NodeType, Workflow

NAME = "Momentum screen"
DESCRIPTION = (
    "Ranks five US stocks by their return over a year without its last month, and picks the best two while the market "
    "is above its 200-day mean. The first delivery of IBM's prices is broken off on purpose: look at the attempts of "
    "that node."
)
TICKERS = ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
VARIABLES = {"as_of": "2013-03-01", "tickers": TICKERS}
MOMENTUM = {"function": "momentum", "lookback_days": 252, "skip_days": 21, "trend_days": 200}

# A fetch may succeed when repeated; a computation fails the same way every time.
FETCHING = {"retry_config": {"max_retries": 3, "delay": 1}, "timeout_seconds": 60}
COMPUTING = {"retry_config": {"max_retries": 0, "delay": 0}, "timeout_seconds": 10}


def get_or_make(owner: User | None) -> Workflow:
    """Return the owner's momentum screen. An existing one is not changed, because the user may have edited it."""
    there = Workflow.objects.alive().filter(name=NAME, owner=owner).order_by("created_at").first()
    return there or _make(owner)


@transaction.atomic
def _make(owner: User | None) -> Workflow:
    workflow = Workflow.objects.create(name=NAME, owner=owner, description=DESCRIPTION, variables=VARIABLES)
    _connect(workflow, _make_nodes(workflow))
    return workflow


def _make_nodes(workflow: Workflow) -> dict[str, Node]:
    nodes = [
        _node("Market close", NodeType.TRIGGER, (0, 2), {"function": "market_close"}, COMPUTING),
        _node("Load prices", NodeType.ADAPTER, (1, 2), {"function": "load_prices"}, FETCHING),
        *(_momentum(ticker, row) for row, ticker in enumerate(TICKERS)),
        _node("Ranking", NodeType.AGGREGATOR, (3, 1), {"function": "rank"}, COMPUTING),
        _node("Market filter", NodeType.CONDITION, (3, 3), {"function": "market_filter"}, COMPUTING),
        _node("Picks", NodeType.TOOL, (4, 2), {"function": "picks", "top": 2}, COMPUTING),
        _node("Report", NodeType.TOOL, (5, 2), {"function": "report"}, COMPUTING),
    ]
    for node in nodes:
        node.workflow = workflow
    return {node.name: node for node in Node.objects.bulk_create(nodes)}


def _momentum(ticker: str, row: int) -> Node:
    return _node(_momentum_name(ticker), NodeType.PARALLEL, (2, row), MOMENTUM | {"ticker": ticker}, FETCHING)


def _momentum_name(ticker: str) -> str:
    return f"Momentum {ticker}"


def _node(
    name: str, kind: NodeType, place: tuple[int, int], config: dict[str, object], limits: dict[str, object]
) -> Node:
    column, row = place
    return Node(name=name, node_type=kind, position_x=240 * column, position_y=120 * row, config=config, **limits)


def _connect(workflow: Workflow, nodes: dict[str, Node]) -> None:
    arrows: list[tuple[str, str, dict[str, object]]] = [("Market close", "Load prices", {})]
    for name in map(_momentum_name, TICKERS):
        arrows += [("Load prices", name, {}), (name, "Ranking", {}), (name, "Market filter", {})]
    arrows += [
        ("Ranking", "Picks", {}),
        ("Market filter", "Picks", {"condition": {"field": "risk_on", "equals": True}, "label": "above its mean"}),
        ("Ranking", "Report", {}),
        ("Market filter", "Report", {}),
        ("Picks", "Report", {"label": "if there are any"}),
    ]
    Edge.objects.bulk_create(
        Edge(workflow=workflow, source_node=nodes[source], target_node=nodes[target], **more)
        for source, target, more in arrows
    )
