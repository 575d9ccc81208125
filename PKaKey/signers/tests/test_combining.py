"""The combiner: everyone gets their own answer, and nobody waits for ever."""

import threading
from collections.abc import Sequence
from time import sleep

import pytest
from pkakey_signers.combining import Combiner


def in_threads(count: int, combiner: Combiner[int, int]) -> list[int | Exception]:
    outcomes: list[int | Exception] = [0] * count

    def ask(number: int) -> None:
        try:
            outcomes[number] = combiner.ask(number)
        except ArithmeticError as error:
            outcomes[number] = error

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    return outcomes


def test_each_thread_gets_its_own_answer_in_few_goes() -> None:
    goes: list[int] = []

    def work(numbers: Sequence[int]) -> Sequence[int]:
        goes.append(len(numbers))
        sleep(0.01)
        return [number * number for number in numbers]

    assert in_threads(32, Combiner(work)) == [number * number for number in range(32)]
    assert sum(goes) == 32
    assert len(goes) < 32


def test_the_work_is_never_done_by_two_at_once() -> None:
    busy = threading.Lock()

    def work(numbers: Sequence[int]) -> Sequence[int]:
        assert busy.acquire(blocking=False)
        sleep(0.001)
        busy.release()
        return numbers

    assert in_threads(50, Combiner(work)) == list(range(50))


def test_a_failure_reaches_everyone_of_that_go_and_nobody_later() -> None:
    failures = [True, True, False]

    def work(numbers: Sequence[int]) -> Sequence[int]:
        if failures and failures.pop(0):
            raise ArithmeticError("No.")
        return numbers

    combiner: Combiner[int, int] = Combiner(work)
    for _ in range(2):
        with pytest.raises(ArithmeticError):
            combiner.ask(1)
    assert combiner.ask(1) == 1


def test_failures_under_load_leave_nobody_waiting() -> None:
    turn = iter(range(1_000_000))

    def work(numbers: Sequence[int]) -> Sequence[int]:
        sleep(0.001)
        if next(turn) % 2:
            raise ArithmeticError("No.")
        return numbers

    outcomes = in_threads(40, Combiner(work))
    assert all(
        isinstance(outcome, ArithmeticError) or outcome == number
        for number, outcome in enumerate(outcomes)
    )
