"""Encryption of a run's secret values, with the keys of the settings, and the scrubber of encrypted values."""

import json
from collections.abc import Iterable
from functools import lru_cache

from cryptography.fernet import Fernet, MultiFernet

from executions.conf import secrets_keys
from ledgerkit.conf import ledgerkit_settings

from .scrubber import Scrubber


def load_scrubber(sealed: str) -> Scrubber:
    """Return the scrubber of the encrypted values. Raises InvalidToken if no key in the settings decrypts them."""
    return _scrubber(sealed, _keys(), ledgerkit_settings.SECRET_KEYS_EXTRA)


@lru_cache(64)
def _scrubber(sealed: str, keys: tuple[str, ...], extra: tuple[str, ...]) -> Scrubber:
    """Build a scrubber, cached by the encrypted text: no two encryptions are equal."""
    return Scrubber(_decrypt_values(sealed, keys), extra)


def forget_scrubbers() -> None:
    """Clear the cache, which holds secret values."""
    _scrubber.cache_clear()


def encrypt(values: Iterable[str]) -> str:
    return _fernet(_keys()).encrypt(json.dumps(sorted(values)).encode()).decode()


def decrypt(sealed: str) -> frozenset[str]:
    """Return the values. Raises InvalidToken if no key in the settings decrypts them."""
    return _decrypt_values(sealed, _keys())


def _decrypt_values(sealed: str, keys: tuple[str, ...]) -> frozenset[str]:
    return frozenset(json.loads(_fernet(keys).decrypt(sealed)))


@lru_cache(8)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def _keys() -> tuple[str, ...]:
    return secrets_keys()
