"""Settings of the apps: each reads one dict of the project's settings, such as `EXECUTIONS`, with a default for every
key."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Self, cast, overload

from django.conf import settings
from django.core import checks
from django.core.signals import setting_changed
from django.db import DEFAULT_DB_ALIAS


class Setting[T]:
    """One key of the dict. Read from an instance it is the value, from the class the Setting itself.

    The first read of a value makes it an attribute of the instance, as `cached_property` does.
    """

    def __init__(self, default: T) -> None:
        self.default = default

    def __set_name__(self, owner: type["AppSettings"], name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type["AppSettings"]) -> Self: ...
    @overload
    def __get__(self, instance: "AppSettings", owner: type["AppSettings"]) -> T: ...
    def __get__(self, instance: "AppSettings | None", owner: type["AppSettings"]) -> Self | T:
        if instance is None:
            return self
        value = cast("T", instance.values.get(self.name, self.default))  # check() reports a value of another type
        if isinstance(self.default, tuple):  # which may be given as a list
            value = cast("T", tuple(cast("Iterable[object]", value)))
        vars(instance)[self.name] = value
        return value

    def fault(self, value: object) -> str:
        """Return what is wrong with a value, "" if nothing is."""
        kinds = (list, tuple) if isinstance(self.default, list | tuple) else (type(self.default),)
        return "" if isinstance(value, kinds) else f"must be of type {kinds[0].__name__}"


class Number(Setting[int]):
    """A whole number from `least` to `most`."""

    def __init__(self, default: int, *, least: int = 0, most: int = 2**31 - 1) -> None:
        super().__init__(default)
        self.least, self.most = least, most

    def fault(self, value: object) -> str:
        if type(value) is int and self.least <= value <= self.most:
            return ""
        return f"must be a whole number from {self.least} to {self.most}"


class OptionalNumber(Setting[int | None]):
    """A whole number from `least` to `most`, or None."""

    def __init__(self, default: int | None, *, least: int = 0, most: int = 2**31 - 1) -> None:
        super().__init__(default)
        self.least, self.most = least, most

    def fault(self, value: object) -> str:
        if value is None or (type(value) is int and self.least <= value <= self.most):
            return ""
        return f"must be a whole number from {self.least} to {self.most}, or None"


class Text(Setting[str | None]):
    """A text, or None."""

    def __init__(self) -> None:
        super().__init__(None)

    def fault(self, value: object) -> str:
        return "" if isinstance(value, str | None) else "must be of type str, or None"


class OtherDatabase(Text):
    """The alias of a database beside the default one, or None."""

    def fault(self, value: object) -> str:
        if value is None or (isinstance(value, str) and value != DEFAULT_DB_ALIAS and value in settings.DATABASES):
            return ""
        return "must be the alias of another entry of DATABASES, or None"


class AppSettings:
    """The settings of one app, read once, and again after `override_settings`."""

    def __init__(self, name: str) -> None:
        self.name = name  # the name of the setting
        setting_changed.connect(self._forget)

    def _forget(self, *, setting: str, **_kwargs: object) -> None:
        if setting == self.name:
            for name in self.all_settings():
                vars(self).pop(name, None)

    @property
    def values(self) -> Mapping[str, object]:
        values: Mapping[str, object] = getattr(settings, self.name, {})
        return values

    @classmethod
    def all_settings(cls) -> dict[str, Setting[object]]:
        return {name: setting for name, setting in vars(cls).items() if isinstance(setting, Setting)}

    def register_check(self) -> None:
        checks.register(partial(self.check))  # a bound method cannot carry the attributes that Django sets

    def check(self, **_kwargs: object) -> list[checks.CheckMessage]:
        """Return an error for each key that is unknown and each value that is wrong. A system check."""
        known = self.all_settings()
        unknown = [key for key in self.values if key not in known]
        faults = {key: known[key].fault(value) for key, value in self.values.items() if key in known}
        return [
            *(checks.Error(f"{self.name} has no setting {key!r}.", id="ledgerkit.E001") for key in unknown),
            *(
                checks.Error(f"{self.name}[{key!r}] {fault}.", id="ledgerkit.E002")  # without the value: may be a key
                for key, fault in faults.items()
                if fault
            ),
        ]


class LedgerkitSettings(AppSettings):
    # Prefix of the addresses whose errors are JSON; None for the place where `executions.api.urls` is included.
    API_PREFIX = Text()
    # Seconds between two log messages of one kind, of those that tell of frequent events.
    LOG_EVERY_SECONDS = Number(60)
    # Maximum of JSON values in one body, including objects and lists: a million empty lists are a few kB of gzip.
    MAX_BODY_ELEMENTS = Number(500_000, least=1_000)
    # Bytes of one JSON document, as JSON in UTF-8: a larger one is refused.
    MAX_DOCUMENT_BYTES = Number(1_048_576, least=1_024)
    # Bytes of the texts and documents of one page, however many rows were requested: the next page continues there.
    MAX_PAGE_BYTES = Number(4_194_304, least=65_536)
    # Prefix of the `type` of an API error; the code follows.
    PROBLEM_TYPE_PREFIX = Setting[str]("urn:pastetrader:problem:")
    # Alias of a streaming replica in DATABASES, which requests that only read use (docs/scale.md).
    REPLICA = OtherDatabase()
    # Seconds that it may be behind: beyond them the primary is read.
    REPLICA_MAX_LAG_SECONDS = Number(10, least=2, most=3_600)
    # Keys that name a secret, in addition to those of workflows/secret_keys.py.
    SECRET_KEYS_EXTRA = Setting[tuple[str, ...]](())


ledgerkit_settings = LedgerkitSettings("LEDGERKIT")
