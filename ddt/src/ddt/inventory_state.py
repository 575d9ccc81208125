"""What `ddt doctor` makes of how far the inventory is behind PKaKey."""

import json
from datetime import datetime, timedelta

from ddt.errors import TroubleError

LATE = timedelta(minutes=1)
"""The relay looks each two seconds; a busy machine may keep it for a while."""


def words(printed: str, *, now: datetime, log: str) -> str:
    """Say how far the inventory is, from what `python -m pesequel state` printed.

    `log` is the command that shows the worker's log. Raises TroubleError when the inventory lags,
    when the relay has not looked for `LATE`, or when events were set aside.
    """
    try:
        state = json.loads(printed)
        waiting, aside = int(state["waiting"]), int(state["set_aside"])
        lag = timedelta(seconds=float(state["lag_seconds"]))
        looked = datetime.fromisoformat(state["delivered_at"]) if state["delivered_at"] else None
    except (ValueError, TypeError, KeyError):
        raise TroubleError(f"The inventory told '{printed[:80]}' as its state.") from None
    if looked is None:
        raise TroubleError(f"The relay has never delivered to the inventory. '{log}' tells why.")
    # What was behind when the relay last looked has got older since.
    silent = max(now - looked, timedelta(0))
    if silent > LATE:
        raise TroubleError(
            f"The relay has not looked for {silent.total_seconds():.0f} s; the inventory may be as "
            f"far behind. '{log}' tells why; nothing is lost.",
        )
    if lag > LATE:
        raise TroubleError(
            f"The inventory is {lag.total_seconds():.0f} s behind, {waiting} events wait. '{log}' "
            "tells why, unless many certificates were just issued; nothing is lost.",
        )
    if aside:
        raise TroubleError(
            f"{aside} events were set aside: this version does not know them, or what they speak "
            "of is not there. Update the platform, then 'ddt manage rebuild_inventory'.",
        )
    return f"The inventory holds {state['events']} events; {waiting} waited when the relay looked."
