"""Groups concurrent calls: calls that arrive while a batch runs form the next batch.

No call waits for a batch to fill. The first call runs alone. One caller at a time therefore pays
nothing, and batches grow with the number of callers.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Batches(Generic[Question, Answer]):
    """Calls `run` on up to `most` questions at once, one batch at a time, in order of arrival.

    Nobody waits for more than the batches of those before them. A question that `run` fails on
    fails alone: the others of its batch are asked again without it.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Question]], Sequence[Answer]],
        *,
        most: int,
    ) -> None:
        self.most = most
        self.run = run
        self.waiting: deque[_Asked[Question, Answer]] = deque()
        self._busy = False
        self._lock = threading.Lock()

    def __call__(self, question: Question) -> Answer:
        """Return the answer to one question, or raise what `run` raises on it."""
        return self.each([question])[0]

    def each(self, questions: Sequence[Question]) -> list[Answer]:
        """Return the answers to some questions, or raise what `run` raises on the first of them."""
        mine: list[_Asked[Question, Answer]] = [_Asked(question) for question in questions]
        with self._lock:
            self.waiting.extend(mine)
            if mine and not self._busy:
                self._busy = True
                mine[0].woken.set()
        for asked in mine:
            asked.woken.wait()
            if not asked.answer.done():
                self._lead()
        return [asked.answer.result() for asked in mine]

    def _lead(self) -> None:
        """Answer those who wait longest, the caller first, and hand over to the next in line."""
        with self._lock:
            batch = [self.waiting.popleft() for _ in range(min(self.most, len(self.waiting)))]
        try:
            self._answer(batch)
        finally:
            with self._lock:
                self._busy = bool(self.waiting)
                following = [self.waiting[0]] if self.waiting else []
            for asked in (*following, *batch):
                asked.woken.set()

    def _answer(self, batch: Sequence[_Asked[Question, Answer]]) -> None:
        try:
            answers = self.run([asked.question for asked in batch])
        except BaseException as error:
            if len(batch) == 1:
                batch[0].answer.set_exception(error)
                return
            for asked in batch:
                self._answer([asked])
            return
        for asked, answer in zip(batch, answers, strict=True):
            asked.answer.set_result(answer)


class _Asked(Generic[Question, Answer]):
    """One question, who waits for it, and its answer once there is one."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.woken = threading.Event()
        self.answer: Future[Answer] = Future()
