"""The counter of the operator's tasks."""

from playwright.sync_api import Locator

MOST = 3


class Steps:
    """Counts the steps of a task: clicks, boxes that are checked, options that are chosen.

    A step too many raises AssertionError. Typed words and Enter in their field are not counted: the limit of a task is
    three clicks and typed words.
    """

    def __init__(self) -> None:
        self.number = 0

    def click(self, target: Locator) -> None:
        self._count()
        target.click()

    def check(self, box: Locator) -> None:
        self._count()
        box.check()

    def choose(self, field: Locator, option: str) -> None:
        self._count()
        field.select_option(option)

    def _count(self) -> None:
        self.number += 1
        assert self.number <= MOST
