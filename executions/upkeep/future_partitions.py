"""Creation of the log partitions of the next weeks."""

from executions import partitions

from .task import Progress, Result


def plan() -> Result:
    there = partitions.existing()
    missing = [each for each in partitions.plan() if not any(each.start in one for one in there)]
    return Result(rows=len(missing))


def apply(_progress: Progress) -> Result:
    return Result(rows=len(partitions.make_ahead()))
