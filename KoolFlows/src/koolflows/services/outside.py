"""What the use cases need from outside, as arguments: PKaKey, webhooks, mail."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Effect", "Outside", "RefusedOutside", "Unavailable"]


class RefusedOutside(Exception):  # noqa: N818  # An answer, named by what it says.
    """The other side understood and refused; asking again would not help."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Unavailable(Exception):  # noqa: N818  # As above.
    """The other side does not answer; the same may be asked again, with the same key."""


@dataclass(frozen=True)
class Effect:
    """One thing to do: `key` makes it happen once, however often it is asked for."""

    key: str
    operation: str
    parameters: Mapping[str, Any]
    process: Mapping[str, Any]


class Perform(Protocol):
    """Does one effect and returns what came back; raises `RefusedOutside` or `Unavailable`."""

    def __call__(self, effect: Effect) -> Mapping[str, Any]:
        """Do it."""


@dataclass(frozen=True)
class Outside:
    """The ways out: what performs an operation, and whether new tasks are announced."""

    performers: Mapping[str, Perform]
    notifies: bool = False

    def perform(self, effect: Effect) -> Mapping[str, Any]:
        """Do the effect by the operation's performer; the part before the dot chooses it."""
        performer = self.performers.get(effect.operation.partition(".")[0])
        if performer is None:
            raise RefusedOutside(
                "operation.not-set-up",
                f"{effect.operation} is not set up on this platform: name its target in the "
                "service's environment.",
            )
        return performer(effect)
