"""What can go wrong, as a sentence that says what to do."""


class TroubleError(Exception):
    """A failure whose message is a full sentence: what happened, and what to do about it."""
