"""Who takes part in the experiment: the first assignment of each user is kept, and who came before it stays out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from firstday.recommend.variants import Experiment, Variant
from firstday.serve.store.base import Assignment, Store, StoredUser, StoreError
from firstday.serve.telemetry import Metrics


class Enrolment:
    """Gives users variants when they first ask for a list by a request that may write.

    An experiment starts when the store first sees its name. Of whom the store has something older takes no part. Who
    was given a variant keeps it, whatever becomes of the weights. While the store does not answer, nobody takes part.

    Parameters
    ----------
    experiment
        Its variants.
    store
        Keeps its start and who has which variant.
    metrics
        Where failures are counted.
    """

    def __init__(self, experiment: Experiment, store: Store, metrics: Metrics) -> None:
        self.experiment, self._store, self._metrics = experiment, store, metrics
        self._variants = {variant.name: variant for variant in experiment.variants}
        self._started_us: int | None = None

    async def start(self) -> int:
        """Return when the experiment started, microseconds since 1970.

        Raises
        ------
        StoreError
            The store does not answer.
        """
        if self._started_us is None:
            with self._metrics.store_call("start_experiment"):
                self._started_us = await self._store.start_experiment(self.experiment.name)
        return self._started_us

    async def find_variants(self, users: Sequence[tuple[str, StoredUser, bool]]) -> list[Variant | None]:
        """Return the variant of each user, kept from now on where it may be; None for who takes no part.

        Parameters
        ----------
        users
            Each with what is known of them, and whether their variant may be kept.
        """
        variants: list[Variant | None] = [None] * len(users)
        new: dict[int, tuple[str, Assignment]] = {}
        with suppress(StoreError):  # it is counted
            started_us = await self.start()
            for place, (user_id, user, may_keep) in enumerate(users):
                before = [given.variant for given in user.assignments if given.experiment == self.experiment.name]
                if before:
                    variants[place] = self._variants.get(before[0])
                elif user.first_us is None or user.first_us >= started_us:
                    variant = self.experiment.assign(user_id)
                    if variant is not None and may_keep:
                        new[place] = user_id, Assignment(self.experiment.name, variant.name)
                    else:
                        variants[place] = variant
            if new:
                with self._metrics.store_call("assign"):
                    given = await self._store.assign([*new.values()])
                for place, assignment in zip(new, given, strict=True):
                    variants[place] = self._variants.get(assignment.variant)
        return variants
