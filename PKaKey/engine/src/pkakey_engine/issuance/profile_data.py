"""Typed, complete reading of a profile's JSON object: no field is missed or passed over."""

from collections.abc import Mapping
from typing import Any

__all__ = ["Fields"]


class Fields:
    """One JSON object, whose fields are taken by type; ``finish`` complains of any left over."""

    def __init__(self, data: Mapping[str, Any], where: str = "") -> None:
        if not isinstance(data, Mapping):
            raise ValueError(f"Profile field {where or 'data'!r} must be an object.")  # noqa: TRY004
        self._left = dict(data)
        self._where = where

    def _take(self, key: str) -> object:
        if key not in self._left:
            raise ValueError(f"Profile field {self._where + key!r} is missing.")
        value: object = self._left.pop(key)
        return value

    def _wrong(self, key: str, wanted: str) -> ValueError:
        return ValueError(f"Profile field {self._where + key!r} must be {wanted}.")

    def section(self, key: str) -> "Fields":
        """Return the object under ``key``."""
        value = self._take(key)
        if not isinstance(value, Mapping):
            raise self._wrong(key, "an object")
        return Fields(value, f"{self._where}{key}.")

    def optional_section(self, key: str) -> "Fields | None":
        """Return the object under ``key``, or None where there is none."""
        return self.section(key) if key in self._left else None

    def text(self, key: str) -> str:
        """Return a text that is not empty."""
        value = self._take(key)
        if not isinstance(value, str) or not value:
            raise self._wrong(key, "a text")
        return value

    def texts(self, key: str, minimum: int = 0) -> tuple[str, ...]:
        """Return a list of texts without doubles."""
        value = self._take(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(key, "a list of texts")
        if len(value) < minimum or len(set(value)) != len(value):
            raise self._wrong(key, f"a list of at least {minimum} texts without doubles")
        return tuple(value)

    def number(self, key: str, minimum: int) -> int:
        """Return a whole number of at least ``minimum``."""
        value = self._take(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise self._wrong(key, f"a whole number of at least {minimum}")
        return value

    def optional_number(self, key: str, minimum: int) -> int | None:
        """Return a whole number, or None where null is written."""
        if key in self._left and self._left[key] is None:
            del self._left[key]
            return None
        return self.number(key, minimum)

    def flag(self, key: str) -> bool:
        """Return true or false."""
        value = self._take(key)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def finish(self) -> None:
        """Raise ValueError when a field was not taken."""
        if self._left:
            raise ValueError(f"Profile has unknown fields: {sorted(map(str, self._left))}.")
