"""Definitions of a generated ledger: few workflows have most of the runs, and have as many nodes as these execute."""

from random import Random
from typing import Any

from workflows.models import Edge, Node, NodeType, Workflow

from . import seed_texts as texts
from .seed_plan import PERIOD, Batch, Definition, Plan, Step, to_microseconds, uuid7_at

MARK = "seed_ledger"  # key in the config of every generated workflow


class Definitions:
    """`all` definitions, and those of the planned runs, in their order."""

    def __init__(self, plan: Plan, random: Random) -> None:
        self.plan = plan
        self.random = random
        self.first = to_microseconds(plan.since)
        weights = [1 / (rank + 1) ** 1.1 for rank in range(plan.workflows)]
        self.all = [self._definition(rank, weight / sum(weights)) for rank, weight in enumerate(weights)]
        self.of_runs = self.random.choices(self.all, weights, k=plan.runs)
        self._grow()

    def rows(self, owner: Any) -> Batch:
        made = self.plan.since
        mark = {MARK: self.plan.to_json()}
        each_step = [(each, step) for each in self.all for step in each.steps]
        each_edge = [(each, *ends) for each in self.all for ends in each.edges]
        owner_id = owner and owner.pk
        return {
            Workflow: [(each.id, owner_id, each.name, texts.DESCRIPTION, mark, made, made) for each in self.all],
            Node: [(step.id, each.id, step.name, _type(step.name), made, made) for each, step in each_step],
            Edge: [(self._id(), each.id, source.id, target.id, made) for each, source, target in each_edge],
        }

    def _definition(self, rank: int, share: float) -> Definition:
        apart = PERIOD.total_seconds() / max(1.0, self.plan.runs * share)
        name = f"{texts.WORKFLOWS[rank % len(texts.WORKFLOWS)]} {rank + 1}"
        new = Definition(self._id(), name, f"sched-{rank + 1:03}", min(600.0, max(0.2, apart * 0.03)))
        size = self.plan.nodes / self.plan.runs * self.random.uniform(0.7, 1.8)
        for _ in range(max(2, round(size))):
            self._add_step(new)
        return new

    def _add_step(self, definition: Definition) -> None:
        """Add a node on the last level or on a new one below it."""
        steps, number = definition.steps, len(definition.steps)
        wide = number and sum(step.level == steps[-1].level for step in steps)
        level = 0 if not number else steps[-1].level + (self.random.random() * 4 < wide)
        step = Step(self._id(), f"{texts.NODES[number % len(texts.NODES)]} {number + 1}", level)
        above = [each for each in steps if each.level == level - 1]
        sources = self.random.sample(above, min(len(above), self.random.choice((1, 1, 2))))
        definition.edges += [(source, step) for source in sources]
        steps.append(step)

    def _grow(self) -> None:
        """Add nodes to the definitions until the chosen runs can hold all planned node executions."""
        while sum(len(definition.steps) for definition in self.of_runs) < self.plan.nodes:
            for definition in self.all:
                self._add_step(definition)

    def _id(self) -> str:
        return uuid7_at(self.random, self.first)


def _type(name: str) -> str:
    return texts.TYPES.get(name.split(maxsplit=1)[0], NodeType.TOOL)
