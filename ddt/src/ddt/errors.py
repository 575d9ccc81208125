"""What can go wrong for the person at the command line, as a sentence that says what to do."""


class TroubleError(Exception):
    """A failure whose message is a full sentence: what happened, and what to do about it.

    `exit_code` is what the command ends with; `problem` is an RFC 9457 document when a
    refusal of the platform is behind it.
    """

    def __init__(
        self, sentence: str, *, exit_code: int = 1, problem: dict[str, object] | None = None
    ) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code
        self.problem = problem
