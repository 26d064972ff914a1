"""Which corrections were taken back."""

from collections.abc import Sequence

from rgbtrack.review.corrections import Correction, Undo


def undone_by(corrections: Sequence[Correction]) -> dict[str, str]:
    """Correction to the undo that takes it back; an undo that was itself undone takes nothing back."""
    undone: dict[str, str] = {}
    earlier = [correction.id for correction in corrections]
    for n, correction in reversed(list(enumerate(corrections))):
        if isinstance(correction, Undo) and correction.id not in undone and correction.of in earlier[:n]:
            undone[correction.of] = correction.id
    return undone
