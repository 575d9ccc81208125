"""PKaKey's side of service tasks: one address, one key each, the service's own secret."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import httpx

from koolflows.services.outside import Effect, RefusedOutside, Unavailable

__all__ = ["ToPKaKey"]

SECONDS: Final = 20.0
MOST_BYTES: Final = 256 * 1024


class ToPKaKey:
    """Asks PKaKey to do an effect; the same key again gets the same answer."""

    def __init__(self, address: str, service_key: str) -> None:
        self._client = httpx.Client(
            base_url=address,
            timeout=SECONDS,
            follow_redirects=False,
            headers={"Authorization": f"Bearer {service_key}", "User-Agent": "KoolFlows"},
        )

    def __call__(self, effect: Effect) -> Mapping[str, Any]:
        """Do it; raises `RefusedOutside` or `Unavailable`."""
        try:
            answer = self._client.post(
                f"/internal/flows/{effect.operation.partition('.')[2]}/",
                json={"parameters": effect.parameters, "process": effect.process},
                headers={"Idempotency-Key": effect.key},
            )
        except httpx.HTTPError as error:
            raise Unavailable(f"PKaKey does not answer: {type(error).__name__}") from error
        if len(answer.content) > MOST_BYTES:
            raise RefusedOutside("pkakey.answer", "PKaKey's answer is too large to be kept.")
        body = _object(answer)
        if answer.is_success:
            return body
        code = str(body.get("code", "pkakey.refused"))[:60]
        detail = str(body.get("detail", f"PKaKey answered {answer.status_code}."))[:400]
        if answer.status_code in _AGAIN or answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unavailable(f"PKaKey answered {answer.status_code}: {detail}")
        raise RefusedOutside(code, detail)


# A wrong service key is mended by an operator, not by the diagram: it waits, and is logged.
_AGAIN: Final = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
