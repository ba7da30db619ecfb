"""The launcher's side of the workers: who runs a trial now, and what becomes of those that die.

Ray places processes and says when one is lost; Optuna's storage hands out the trials. Here a worker
is called whenever a trial is to be started, what it reports is passed on, and the storage is told
that a trial is over whose worker is lost.
"""

import logging
import uuid
from dataclasses import dataclass
from typing import Any

import optuna
import ray
from optuna.trial import FrozenTrial, TrialState
from ray.exceptions import RayError, RayTaskError

from mlproject.experiments.storage import StudyStorage, fail_trial
from mlproject.experiments.trial_context import TrialContext
from mlproject.experiments.trial_watch import StudyWatch, TrialWatch
from mlproject.experiments.workers.reports import (
    EpochEnded,
    Report,
    StepDone,
    TrialBegan,
    TrialEnded,
)
from mlproject.experiments.workers.shared_study import SharedStudy
from mlproject.experiments.workers.trial_worker import WORKER_ATTR, SharedContext
from mlproject.experiments.workers.worker_pool import PATIENCE_SECONDS, Worker, WorkerPool
from mlproject.search.remaining_trials import RemainingTrials
from mlproject.search.trial_queue import INTERRUPTED
from mlproject.text.credentials import first_line
from mlproject.tracking.names import Tag

STOP_SECONDS = 10.0
"""How long a worker that was killed is waited for."""

_logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Call:
    """One trial that a worker was called to run."""

    worker: Worker
    trial_number: int | None = None
    """None until the worker has said which trial it was given."""
    watch: TrialWatch | None = None


class Dispatch:
    """Runs the remaining trials of one launch on its workers."""

    def __init__(
        self,
        pool: WorkerPool,
        remaining: RemainingTrials,
        watch: StudyWatch,
        storage: StudyStorage,
    ) -> None:
        self._pool = pool
        self._remaining = remaining
        self._study = remaining.study
        self._watch = watch
        self._storage = storage
        self._launch = uuid.uuid4().hex
        self._idle: list[Worker] = []
        self._calls: dict[Any, Call] = {}
        """By the stream of the worker's reports."""
        self._may_be_abandoned = False
        """Whether a trial in progress may have lost its worker."""

    def run(self, context: TrialContext, shared: SharedStudy) -> None:
        """Run what remains.

        Raises:
            UserError: too many trials fail, or workers die or do not start.
        """
        everything = ray.put(
            SharedContext(
                context=context,
                study=shared,
                launch=self._launch,
                optuna_verbosity=optuna.logging.get_verbosity(),
            )
        )
        try:
            while self._call_workers(everything):
                self._wait()
        except BaseException:
            self._stop()
            raise

    def _call_workers(self, everything: Any) -> bool:
        """Call idle workers for the trials to be started; return whether there is more to come."""
        if self._may_be_abandoned and all(c.trial_number is not None for c in self._calls.values()):
            self._end_abandoned_trials({})
        if self._may_be_abandoned:  # how many are missing is not known yet
            return True
        unbegun = sum(call.trial_number is None for call in self._calls.values())
        at_work = len(self._calls)
        n_to_start = self._remaining.n_to_start(
            places=len(self._idle), at_work=at_work, unbegun=unbegun
        )
        for worker in self._idle[:n_to_start]:
            stream = worker.actor.run_trial.options(num_returns="streaming").remote(
                everything, self._remaining.next_seed_index(), worker.memory_limit_bytes
            )
            self._calls[stream] = Call(worker)
        del self._idle[:n_to_start]
        return bool(n_to_start or self._calls)

    def _wait(self) -> None:
        """Until a trial has begun or ended, a worker is ready, or what remains has changed."""
        changed = False
        while not changed:
            every = [*self._calls, *self._pool.starting]
            ready, _ = ray.wait(every, timeout=PATIENCE_SECONDS)
            if not ready and not self._calls:
                self._pool.say_that_none_has_a_place()
            # Whoever speaks most must not be the only one who is heard.
            ready += ray.wait(every, num_returns=len(every), timeout=0)[0]
            for source in dict.fromkeys(ready):
                if source in self._calls:
                    changed |= self._take_report(source, self._calls[source])
                else:
                    self._idle.append(self._pool.started(source))
                    changed = True
            changed |= self._remaining.has_changed()

    def _take_report(self, stream: Any, call: Call) -> bool:
        """Pass on a worker's next report; return whether a trial has begun or ended."""
        try:
            report: Report = ray.get(next(stream))
        except StopIteration:
            del self._calls[stream]
            self._take_end(call)
            return True
        except RayTaskError as error:  # the worker lives
            del self._calls[stream]
            self._may_be_abandoned = True
            self._idle.append(call.worker)
            self._remaining.count_outcome(first_line(error.cause))
            return True
        except RayError as error:
            del self._calls[stream]
            self._may_be_abandoned = True
            reason = first_line(error)
            _logger.warning("a worker died, and Ray restarts it: %s", reason)
            self._pool.await_start(call.worker)
            call.worker.died(reason)
            return True
        match report:
            case TrialBegan(trial):
                call.trial_number = trial.trial_number
                call.watch = self._watch.begin(trial)
                return True
            case EpochEnded(losses):
                assert call.watch is not None
                call.watch.add(losses)
            case StepDone(step, steps):
                assert call.watch is not None
                call.watch.add_step(step, steps)
            case TrialEnded(trial_number):
                call.trial_number = trial_number
            case logging.LogRecord():
                logging.getLogger(report.name).handle(report)
        return False

    def _take_end(self, call: Call) -> None:
        assert call.trial_number is not None
        trial = self._trial(call.trial_number)
        self._watch.end(self._study, trial)
        call.worker.finished_trial()
        self._idle.append(call.worker)
        self._remaining.count(trial)

    def _end_abandoned_trials(self, attrs: dict[str, Any]) -> None:
        """Say of trials whose worker is lost that they have ended: they failed unless they had.

        To be asked when all calls have said which trial they run, so that the others are known.
        """
        at_work = {call.trial_number for call in self._calls.values()}
        running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        for trial in running:
            if trial.number not in at_work and self._is_ours(trial):
                fail_trial(self._storage, trial, attrs)
        for number in set(self._watch.at_work) - at_work:
            self._watch.end(self._study, self._trial(number))
        self._may_be_abandoned = False

    def _is_ours(self, trial: FrozenTrial) -> bool:
        """A SQLite study has one launch at a time; on a server others may be at work."""
        is_embedded = self._storage.directory is not None
        return is_embedded or str(trial.user_attrs.get(WORKER_ATTR, "")).startswith(self._launch)

    def _trial(self, number: int) -> FrozenTrial:
        return self._study.get_trials(deepcopy=False)[number]

    def _stop(self) -> None:
        """End all workers, and say of their trials that they were interrupted."""
        self._pool.kill()
        while self._calls:  # until it is certain that they write no more
            ready: list[Any] = ray.wait(list(self._calls), timeout=STOP_SECONDS)[0]
            if not ready:
                break
            try:
                ray.get(next(ready[0]))
            except (RayError, StopIteration):
                del self._calls[ready[0]]
        self._calls.clear()
        self._end_abandoned_trials({Tag.FAILURE_REASON: INTERRUPTED})
