"""What the signer refuses, by stable code, and what a caller catches.

::

    SignerError
    ├── SignerRefused(code, detail)     the signer answered: no, and why
    └── SignerUnavailable(detail)       no answer; the same call may be made again
"""

from enum import StrEnum


class SignerRefusal(StrEnum):
    """Stable codes of the signer's refusals."""

    FRAME_MALFORMED = "frame.malformed"
    """The bytes are no frame of this protocol, or came too slowly."""
    FRAME_TOO_LARGE = "frame.too-large"
    REQUEST_MALFORMED = "request.malformed"
    """The frame is sound, but asks for nothing that the signer knows."""
    SIGNER_BUSY = "signer.busy"
    """Too many connections; the client reports it as unavailable."""
    SIGNER_FAILED = "signer.failed"
    """Something failed inside the signer; its own output has the traceback."""

    KEY_UNKNOWN = "key.unknown"
    KEY_DAMAGED = "key.damaged"
    """The sealed file was changed; restore it from a backup."""
    KEY_DIFFERS = "key.differs"
    """The key exists with another algorithm or purpose."""
    KEY_PURPOSE = "key.purpose"
    """A key of this purpose does not sign this kind."""
    KEY_ALGORITHM = "key.unsupported-algorithm"
    KEYSTORE_FULL = "keystore.full"
    KEYSTORE_UNWRITABLE = "keystore.unwritable"

    INTENT_MISSING = "intent.missing"
    """A certificate or CRL was to be signed without naming an intent."""
    INTENT_UNKNOWN = "intent.unknown"
    INTENT_CLOSED = "intent.closed"
    INTENT_OTHER_KEY = "intent.other-key"
    INTENT_OTHER_KIND = "intent.other-kind"
    INTENT_BYTES_DIFFER = "intent.bytes-differ"
    """The bytes are not those that the intent recorded, or that were signed for it before."""
    INTENTS_UNAVAILABLE = "intents.unavailable"
    """The database cannot be asked, so nothing is signed. Transient."""

    TBS_MALFORMED = "tbs.malformed"
    TBS_ALGORITHM = "tbs.algorithm"
    """The signature algorithm inside the bytes is not the key's."""
    AUTHORITY_NOT_ACTIVE = "authority.not-active"
    AUTHORITY_CERTIFICATE = "authority.certificate"
    """The certificate offered for an authority is not fit to be that."""
    ISSUER_DIFFERS = "issuer.differs"
    SERIAL_NUMBER = "serial-number.not-permitted"
    VALIDITY = "validity.exceeds-issuer"
    PATH_LENGTH = "issuer.path-length"
    KEY_USAGE = "issuer.key-usage"
    EXTENSION = "extension.not-permitted"
    RESPONDER_DIFFERS = "responder.differs"
    RESPONSE_WINDOW = "response.window"

    LOG_UNWRITABLE = "log.unwritable"
    """The log entry could not be written, so no signature is given. Transient."""
    LOG_FAILED = "log.failed"
    """The log could not be synced to disk; the signer must be restarted."""
    LOG_TAMPERED = "log.tampered"
    """The log's entry for this intent does not hold a valid signature."""


TRANSIENT_REFUSALS = frozenset(
    {
        SignerRefusal.INTENTS_UNAVAILABLE,
        SignerRefusal.LOG_UNWRITABLE,
        SignerRefusal.LOG_FAILED,
        SignerRefusal.SIGNER_BUSY,
        SignerRefusal.KEYSTORE_UNWRITABLE,
    }
)
"""Refusals that say nothing about the request: it may be sent again unchanged."""


class SignerError(Exception):
    """What every call of the client may raise."""


class SignerRefused(SignerError):  # noqa: N818  # Named as the engine's ``Refused``.
    """The signer refused; ``code`` is stable, ``detail`` is a sentence for an operator."""

    def __init__(self, code: SignerRefusal, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later unchanged."""
        return self.code in TRANSIENT_REFUSALS


class SignerUnavailable(SignerError):  # noqa: N818  # As SignerRefused.
    """No answer came: not started, stopped, or too slow. Asking again is safe."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class StartRefused(Exception):  # noqa: N818  # As SignerRefused.
    """The signer process must not start; the message is a sentence that says what to do."""
