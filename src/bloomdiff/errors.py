"""Errors that a user can mend: each prints as one line and ends the program with exit code 2."""

from __future__ import annotations

from collections.abc import Sequence


class BloomDiffError(Exception):
    """Base of every error caused by input, parameters or files rather than by a defect.

    Parameters
    ----------
    where
        The file, and the row or key in it, that is at fault.
    problem
        What is wrong, with the offending value.
    mend
        What to do about it.
    """

    exit_code = 2

    def __init__(self, where: str, problem: str, mend: str) -> None:
        super().__init__(where, problem, mend)
        self.where, self.problem, self.mend = where, problem, mend

    def __str__(self) -> str:
        return " ".join(f"{self.where}: {self.problem}; {self.mend}".split())


class InputError(BloomDiffError):
    """A file, a row or an image is not what it should be."""


class ParameterError(BloomDiffError):
    """A parameter has the wrong type or value, or its key is unknown."""


class IntegrityError(BloomDiffError):
    """An artefact's content is not what was written."""


class LeakageError(BloomDiffError):
    """Something fitted on a cell group is about to be judged on that same group."""


class ProblemsError(InputError):
    """Several problems found in one pass, told together, one line each."""

    def __init__(self, problems: Sequence[BloomDiffError]) -> None:
        if not problems:
            raise ValueError("ProblemsError needs at least one problem")
        first = problems[0]
        super().__init__(first.where, first.problem, first.mend)
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[type[ProblemsError], tuple[tuple[BloomDiffError, ...]]]:
        # Worker processes hand errors back by pickling, which else would call with three strings.
        return type(self), (self.problems,)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def raise_all(problems: Sequence[BloomDiffError]) -> None:
    """Raise the one problem as itself, several as a `ProblemsError`, none not at all."""
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise ProblemsError(problems)
