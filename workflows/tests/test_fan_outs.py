"""Fan-outs of equals: what is folded, and what is not."""

import cProfile

import pytest

from workflows import drawing
from workflows.fan_outs import common_name, find_fan_outs, fold
from workflows.models import Graph


def graph(names: list[str], edges: list[tuple[str, str]], types: dict[str, str] | None = None) -> Graph:
    ids = {name: f"0190f5e5-0000-7000-8000-{place:012}" for place, name in enumerate(names)}
    nodes = [{"id": id, "name": name, "node_type": (types or {}).get(name, "tool")} for name, id in ids.items()]
    return Graph(nodes=nodes, edges=[{"source_node": ids[a], "target_node": ids[b]} for a, b in edges])


def fan_out(number: int, name: str = "load_{}") -> Graph:
    """Return a graph of a start, that many equal nodes, and an end."""
    middle = [name.format(place) for place in range(1, number + 1)]
    edges = [("start", each) for each in middle] + [(each, "end") for each in middle]
    return graph([*middle, "end", "start"], edges)


def test_five_equal_nodes_are_a_fan_out_in_the_order_of_their_numbers() -> None:
    found = find_fan_outs(fan_out(12))
    assert [each.name for each in found] == ["load_…"]
    assert found[0].names == tuple(f"load_{number}" for number in range(1, 13))
    names = drawing.names_of(fan_out(12))
    assert [names[node] for node in found[0].nodes] == list(found[0].names)


def test_four_are_none() -> None:
    assert find_fan_outs(fan_out(4)) == []


def test_nodes_with_other_neighbours_types_or_names_are_not_equal() -> None:
    middle = [f"load_{number}" for number in range(6)]
    edges = [("start", each) for each in middle] + [(each, "end") for each in middle]
    whole = [*middle, "start", "end", "other"]
    assert len(find_fan_outs(graph(whole, edges))[0].nodes) == 6
    assert len(find_fan_outs(graph(whole, [*edges, ("other", "load_0")]))[0].nodes) == 5
    assert len(find_fan_outs(graph(whole, [*edges, ("load_0", "other")]))[0].nodes) == 5
    assert len(find_fan_outs(graph(whole, edges, {"load_0": "agent"}))[0].nodes) == 5
    assert find_fan_outs(fan_out(6, "load_{}" + "x" * 3)) != []
    assert find_fan_outs(graph(["start", *"abcdef"], [("start", each) for each in "abcdef"])) == []


def test_nodes_without_an_edge_are_none() -> None:
    assert find_fan_outs(graph([f"n{number}" for number in range(9)], [])) == []


@pytest.mark.parametrize(
    ("name", "common"),
    [
        ("load_17", "load_…"), ("part 2 of 10", "part … of …"), ("process(0:apple)", "process(…)"),
        ("shard[7]", "shard[…]"), ("load", "load"), ("(1)", "(…)"), ("a)", "a)"),
    ],
)  # fmt: skip
def test_what_names_have_in_common(name: str, common: str) -> None:
    assert common_name(name) == common


def test_a_folded_graph_has_one_node_and_its_edges_in_place_of_the_fan_out() -> None:
    whole = fan_out(40)
    folded = fold(whole, find_fan_outs(whole))
    assert sorted(node["name"] for node in folded.nodes) == ["end", "load_…", "start"]
    assert len(folded.edges) == 2
    assert len(whole.nodes) == 42


def test_a_drawing_of_fifty_boxes_has_a_map_of_a_bounded_size() -> None:
    drawn = [drawing.draw_graph(fan_out(number)) for number in (47, 48, 900)]
    assert [each and each.map_size for each in drawn] == [None, (144, 384), (144, 384)]


def test_the_work_of_folding_is_linear_in_the_nodes() -> None:
    """Counted are calls of functions, of Python and of C: they do not depend on other work of the machine."""

    def calls(number: int) -> int:
        whole, profile = fan_out(number), cProfile.Profile()
        profile.runcall(lambda: fold(whole, find_fan_outs(whole)))
        return sum(entry.callcount for entry in profile.getstats())

    assert calls(4_000) < 4.5 * calls(1_000)
