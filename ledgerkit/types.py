"""Types that all apps share."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

type StrOrPromise = str | StrPromise  # a text, or one that is translated when it is shown
type Context = dict[str, object]  # of a template
