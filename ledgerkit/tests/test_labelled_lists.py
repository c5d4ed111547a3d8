"""Labels of the cells of Django's changelists."""

import pytest

from ledgerkit.templatetags.lists import _label_cell


@pytest.mark.parametrize(
    ("cell", "labelled"),
    [
        ('<td class="field-user">kim</td>', '<td data-label="User &lt;b&gt;" class="field-user">kim</td>'),
        ('<td class="field-user">-</td>', '<td data-label="User &lt;b&gt;" data-empty class="field-user">-</td>'),
        ("<td>–</td>", '<td data-label="User &lt;b&gt;" data-empty>–</td>'),
        ('<td class="a"><img alt="True"></td>', '<td data-label="User &lt;b&gt;" class="a"><img alt="True"></td>'),
        ('<th class="field-name"><a href="1/">kim</a></th>', '<th class="field-name"><a href="1/">kim</a></th>'),
        ('<td class="action-checkbox"><input></td>', '<td class="action-checkbox"><input></td>'),
    ],
)
def test_a_cell_has_the_label_of_its_column(cell: str, labelled: str) -> None:
    assert _label_cell(cell, "User <b>") == labelled
