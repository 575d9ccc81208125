"""Work that is cheaper for many at once: threads that ask at the same time share one go.

The first thread that asks becomes the leader, does the work for itself and all who wait, and hands
over to the next when others came meanwhile. Alone, a thread waits for nobody. So one database
round trip or one disk sync serves all requests of its moment.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


@dataclass(eq=False)
class _Ticket(Generic[Question, Answer]):
    question: Question
    gate: threading.Lock = field(default_factory=threading.Lock)
    must_lead: bool = False
    answers: list[Answer] = field(default_factory=list)
    failure: Exception | None = None


class Combiner(Generic[Question, Answer]):
    """Calls ``work`` from one thread at a time, with all questions that wait, in their order.

    ``work`` returns one answer for each question. When it raises, every thread of that go raises
    the same.
    """

    def __init__(self, work: Callable[[Sequence[Question]], Sequence[Answer]]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._waiting: list[_Ticket[Question, Answer]] = []
        self._is_led = False

    def ask(self, question: Question) -> Answer:
        """Return the answer, or raise what ``work`` raised."""
        ticket: _Ticket[Question, Answer] = _Ticket(question)
        with self._lock:
            self._waiting.append(ticket)
            leads = not self._is_led
            self._is_led = True
            if not leads:
                ticket.gate.acquire()
        if not leads:
            ticket.gate.acquire()  # Opened by a leader: with an answer, or to lead.
            leads = ticket.must_lead
        if leads:
            self._lead(ticket)
        if ticket.failure is not None:
            raise ticket.failure
        return ticket.answers[0]

    def _lead(self, own: _Ticket[Question, Answer]) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, []
        failure: Exception | None = None
        answers: Sequence[Answer] = ()
        try:
            answers = self._work([ticket.question for ticket in batch])
        except Exception as error:  # noqa: BLE001  # The threads that wait must hear of any failure.
            failure = error
        with self._lock:
            successor = self._waiting[0] if self._waiting else None
            self._is_led = successor is not None
        if successor is not None:
            successor.must_lead = True
            successor.gate.release()
        for number, ticket in enumerate(batch):
            ticket.failure = failure
            if failure is None:
                ticket.answers.append(answers[number])
            if ticket is not own:
                ticket.gate.release()
