"""What a correction says: each kind is one line of review.jsonl.

No correction holds a clone's number, because a later fit numbers clones anew. A clone is named by some of its
cells, its anchors, and a cell by its image, frame and place.
"""

import datetime
import math
import secrets
from collections.abc import Iterable
from typing import Annotated, Literal, get_args

from pydantic import Field, StringConstraints, TypeAdapter, model_validator

import rgbtrack
from rgbtrack.params import Params

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Place(Params):
    """A cell: its name in the table, and where it lay, to find it where labels were numbered anew."""

    image_id: str = Field(description="image")
    frame: int = Field(ge=0, description="0-based frame")
    cell: int = Field(ge=1, description="label of the cell when the correction was made")
    z_um: float = Field(description="centroid, depth (um)")
    y_um: float = Field(description="centroid, down (um)")
    x_um: float = Field(description="centroid, right (um)")
    radius_um: float = Field(gt=0, description="of a disc of its area, or a ball of its volume (um)")


Places = tuple[Place, ...]
Some = Annotated[Places, Field(min_length=1)]


def _new_id() -> str:
    # the letter keeps a spreadsheet from reading a number
    return f"r{secrets.token_hex(4)}"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


class _Said(Params):
    """What every correction tells: its name, when and by whom it was made, and with which version."""

    id: str = Field(default_factory=_new_id, pattern=r"^r[0-9a-f]{8}$", description="name of this correction")
    when: str = Field(default_factory=_now, description="when it was made (UTC)")
    who: str | None = Field(None, description="who made it")
    note: str | None = Field(None, description="why, in free words")
    said: str = Field("", description="what was asked, for people to read: with the numbers of that time")
    rgbtrack: str = Field(rgbtrack.__version__, description="version that wrote it")

    @property
    def places(self) -> Iterable[Place]:
        """Every cell that it names."""
        return ()


class Merge(_Said):
    """Clones that are one."""

    action: Literal["merge"] = "merge"
    clones: tuple[Some, ...] = Field(min_length=2, description="anchors of each clone")

    @property
    def places(self) -> Iterable[Place]:
        """Every cell that it names."""
        return (place for anchors in self.clones for place in anchors)


class Split(_Said):
    """One clone that is several."""

    action: Literal["split"] = "split"
    clone: Places = Field(description="anchors of the clone, among the cells that no group names")
    groups: tuple[Some, ...] = Field(min_length=1, description="cells of each part")
    rule: Literal["cells", "colour"] = Field(
        "cells",
        description="cells: each group becomes a clone, the rest stays; colour: each cell of the clone goes "
        "to the group whose mean colour it fits best",
    )

    @property
    def places(self) -> Iterable[Place]:
        """Every cell that it names."""
        return (place for group in (self.clone, *self.groups) for place in group)


class Assign(_Said):
    """Cells that belong to a clone, or to none."""

    action: Literal["assign"] = "assign"
    cells: Some = Field(description="the cells")
    clone: Some | None = Field(description="anchors of the clone; null for none")

    @property
    def places(self) -> Iterable[Place]:
        """Every cell that it names."""
        return (*self.cells, *(self.clone or ()))


class Exclude(_Said):
    """What is no cell, or must not count."""

    action: Literal["exclude"] = "exclude"
    cells: Some = Field(description="the cells")
    reason: Words = Field(description="why they do not count")

    @property
    def places(self) -> Iterable[Place]:
        """Every cell that it names."""
        return self.cells


class Rename(_Said):
    """A clone that has a name."""

    action: Literal["rename"] = "rename"
    clone: Some = Field(description="anchors of the clone")
    name: Words = Field(description="its name")

    @property
    def places(self) -> Iterable[Place]:
        """Every cell that it names."""
        return self.clone


Judged = Literal["right", "wrong", "unclear"]


class Verdict(_Said):
    """Whether a cell that was drawn at random is of the clone that it was called; it changes nothing."""

    action: Literal["verdict"] = "verdict"
    audit: Words = Field(
        description="name of the audit; a later verdict in it on the same cell replaces this"
    )
    cell: Place = Field(description="the cell")
    clone: Some = Field(description="anchors of the clone that it was called")
    verdict: Judged = Field(description="unclear: a look does not tell")
    probability: float | None = Field(None, description="its clone_probability then")

    @property
    def places(self) -> Iterable[Place]:
        """Every cell that it names."""
        return (self.cell, *self.clone)


class Mask(Params):
    """Pixels of a cell within a box."""

    origin: tuple[int, int, int] = Field(description="first plane, row and column of the box")
    shape: tuple[int, int, int] = Field(description="planes, rows and columns of the box")
    runs: tuple[int, ...] = Field(
        description="lengths of runs through the box, plane by plane and row by row: of pixels outside of "
        "the cell, of pixels in it, and so on in turn"
    )

    @model_validator(mode="after")
    def _fills_its_box(self) -> "Mask":
        if min(self.runs, default=0) < 0 or min(self.shape) < 1 or sum(self.runs) != math.prod(self.shape):
            raise ValueError(f"runs add up to {sum(self.runs)}, the box holds {math.prod(self.shape)} pixels")
        return self


class Outline(Params):
    """A cell whose outline a person changed."""

    was: Place | None = Field(description="the cell before; null where there was none")
    cell: int = Field(ge=1, description="its label when the correction was made")
    mask: Mask | None = Field(description="its pixels; null where it was erased")


class Redraw(_Said):
    """Outlines of one image and frame that a person changed."""

    action: Literal["redraw"] = "redraw"
    image_id: str = Field(description="image")
    frame: int = Field(ge=0, description="0-based frame")
    outlines: tuple[Outline, ...] = Field(min_length=1, description="every cell that changed")

    @property
    def places(self) -> Iterable[Place]:
        """Every cell that it names: looked for in the labels, before there is a table."""
        return ()

    @property
    def former(self) -> Places:
        """Every cell that it changes or erases."""
        return tuple(outline.was for outline in self.outlines if outline.was is not None)


class Cut(_Said):
    """A link that is wrong: the cell does not follow, or descend from, the one before."""

    action: Literal["cut"] = "cut"
    before: Place = Field(description="the earlier cell")
    cell: Place = Field(description="the later cell")

    @property
    def places(self) -> Iterable[Place]:
        """Every cell that it names."""
        return (self.before, self.cell)


class Join(_Said):
    """A link that is missing: the later cell continues, or descends from, the earlier."""

    action: Literal["join"] = "join"
    earlier: Place = Field(description="the earlier cell; where one follows it already, it divides")
    later: Place = Field(description="the later cell")

    @property
    def places(self) -> Iterable[Place]:
        """Every cell that it names."""
        return (self.earlier, self.later)


class Undo(_Said):
    """A correction that is taken back; an undo can be undone too."""

    action: Literal["undo"] = "undo"
    of: str = Field(description="id of an earlier correction")


Correction = Merge | Split | Assign | Exclude | Rename | Verdict | Cut | Join | Redraw | Undo
CORRECTION: TypeAdapter[Correction] = TypeAdapter(Annotated[Correction, Field(discriminator="action")])
ACTIONS = tuple(kind.model_fields["action"].default for kind in get_args(Correction))
