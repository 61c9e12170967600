"""What mutes do to the results of a suite. Pure.

A muted test is left out of the run that counts and run on its own afterwards, in the shadow,
where nothing that it does can reach a test that counts.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from osqual.model import Outcome, SuiteResult, TestResult
from osqual.mutes.mute import Mute

FAILURES = (Outcome.FAIL, Outcome.ERROR)

Known = Mapping[tuple[str, str, str], Collection[str]]
"""(mute, suite, test) -> signatures of the failures that were muted before."""


@dataclass(frozen=True, kw_only=True)
class MutesOfRun:
    """The mutes that are in force for one run: its configuration, its day, its image."""

    mutes: tuple[Mute, ...] = ()
    known: Known = field(default_factory=dict)

    @property
    def patterns(self) -> tuple[str, ...]:
        """What is left out of the run that counts."""
        return tuple(dict.fromkeys(mute.test for mute in self.mutes))

    def of(self, test_id: str) -> Mute | None:
        """The mute of a test; one that keeps it from being run wins."""
        found = [mute for mute in self.mutes if mute.mutes(test_id)]
        return min(found, key=lambda mute: mute.runs, default=None)

    def in_shadow(self, tests: Iterable[str]) -> tuple[str, ...]:
        """Those of the left out tests that are run on their own."""
        return tuple(t for t in tests if (mute := self.of(t)) is None or mute.runs)

    def apply(self, result: SuiteResult) -> SuiteResult:
        """The suite with the results of muted tests marked so, and its left out tests named.

        A failure that is not the one that the mute is about stays one, with a remark.
        """
        remarks = list(result.remarks)
        results = [self._marked(test, remarks) for test in result.results]
        named = {test.test_id for test in results}
        results += [self._not_run(result.suite, t) for t in result.left_out if t not in named]
        return replace(result, results=tuple(results), remarks=tuple(remarks))

    def add_shadow(self, counted: SuiteResult, shadow: SuiteResult) -> SuiteResult:
        """The suite with what its muted tests gave when they were run on their own.

        A shadow that cannot be believed breaks no mute and is no problem of the suite.
        """
        remarks = list(counted.remarks)
        found = {test.test_id: test for test in shadow.results}
        if shadow.problem:
            remarks.append(
                f"The muted tests of the suite '{counted.suite}' were run on their own, and that "
                f"gave no result to rely on: {shadow.problem}"
            )
        results = []
        for test in counted.results:
            own = found.get(test.test_id) if test.outcome is Outcome.MUTED else None
            if own is None:
                results.append(test)
            elif shadow.problem:
                results.append(replace(own, outcome=Outcome.MUTED, mute=test.mute, shadow=None))
            else:
                results.append(self._marked(own, remarks))
        return replace(counted, results=tuple(results), remarks=tuple(remarks))

    def _marked(self, test: TestResult, remarks: list[str]) -> TestResult:
        mute = self.of(test.test_id)
        if mute is None or test.outcome is Outcome.MUTED:
            return test
        known = self.known.get((mute.digest, test.suite, test.test_id), ())
        if test.outcome in FAILURES and not mute.covers(test.signature, known):
            remarks.append(
                f"{test.suite}: {test.test_id} fails in another way ({test.signature}) than the "
                f"one that is muted ({', '.join(sorted(mute.signatures or known))}), so the mute "
                f"{mute} does not hold."
            )
            return test
        return replace(test, outcome=Outcome.MUTED, mute=mute.digest, shadow=test.outcome)

    def _not_run(self, suite: str, test_id: str) -> TestResult:
        mute = self.of(test_id)
        return TestResult(
            suite=suite,
            test_id=test_id,
            outcome=Outcome.MUTED,
            mute="" if mute is None else mute.digest,
        )


def for_image(mutes: Sequence[Mute], image_ids: Collection[str]) -> tuple[Mute, ...]:
    """Those whose scope an image is in."""
    return tuple(mute for mute in mutes if mute.applies_to_image(image_ids))
