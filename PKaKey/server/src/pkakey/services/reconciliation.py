"""Finish the intents that a process left open when it died."""

import logging
from datetime import datetime, timedelta

import psycopg
from pkakey_engine.errors import SignedBytesDiffer
from pkakey_signers.errors import SignerError

from pkakey.services.errors import ServiceError
from pkakey.services.finishing import finish_intent
from pkakey.services.outside import Outside
from pkakey.store.reading import rows

logger = logging.getLogger(__name__)

OPEN_FOR = timedelta(seconds=60)
_AT_ONCE = 500


def reconcile_intents(outside: Outside, *, now: datetime) -> int:
    """Finish or give up each intent that has been open for a minute; return how many closed."""
    closed = 0
    found = rows("SELECT * FROM pki.open_intents(%s, %s)", [now - OPEN_FOR, _AT_ONCE])
    for intent_id, namespace_id, namespace in found:
        try:
            finish_intent(
                outside,
                intent_id=intent_id,
                namespace_id=namespace_id,
                namespace=namespace,
                now=now,
            )
            closed += 1
        except SignedBytesDiffer:
            logger.critical("ALARM: the signer signed other bytes than intent %s.", intent_id)
        except (ServiceError, SignerError, psycopg.Error) as error:
            # One intent's trouble must not keep the others from their turn.
            logger.warning("Intent %s stays open: %s", intent_id, error)
    return closed
