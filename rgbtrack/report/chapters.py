"""Chapters of the report on clone dynamics: findings as sentences, figures, and the tables they rest on."""

from collections.abc import Sequence
from dataclasses import dataclass

from rgbtrack.report.pictures import Picture


@dataclass(frozen=True)
class Chapter:
    """One chapter.

    Attributes
    ----------
    title
        Its heading.
    question
        What it answers, in a sentence.
    findings
        What was found: one sentence each, with effect, interval and number of subjects.
    cautions
        What the findings cannot say.
    pictures
        Alternative text and figure.
    tables
        Files that hold the numbers.
    not_told
        Why there is nothing to tell, where there is not.
    """

    title: str
    question: str
    findings: Sequence[str] = ()
    cautions: Sequence[str] = ()
    pictures: Sequence[tuple[str, Picture]] = ()
    tables: Sequence[str] = ()
    not_told: str = ""
