"""What an experiment is to be like: one declaration for Python, the command line and the page."""

from typing import Self

from pydantic import Field, model_validator

from rgbtrack.params import Params


class PlanParams(Params):
    """An experiment that is planned: colours, founders, animals, and what the treatment does."""

    # colours
    n_markers: int = Field(3, ge=2, le=7, description="markers, one vector each")
    share_transduced: float = Field(
        0.5, ge=0.01, lt=1, description="share of cells that a given vector marks; copies are Poisson"
    )
    founders: int = Field(20, ge=2, le=300, description="marked cells that grow into clones of one palette")
    copy_sd: float = Field(0.6, ge=0, le=3, description="ln sd of the expression of one copy")
    colour_sd: float = Field(
        0.1, ge=0.01, le=1, description="noise of colours: ln sd of each marker within a clone"
    )
    brightness_sd: float = Field(
        0.4, ge=0, le=3, description="ln sd of brightness within a clone, shared by all markers"
    )
    snr: float = Field(
        30.0,
        ge=1,
        le=1000,
        description="signal over noise, in one cell, of a typical founder's brightest marker",
    )
    # animals
    clones: int | None = Field(
        None, ge=2, description="clones that are tested, the largest; by default all that can be told apart"
    )
    size_sd: float = Field(1.0, ge=0, le=5, description="ln sd of clone sizes")
    subjects: int = Field(5, ge=2, le=50, description="animals per arm")
    effect: float = Field(
        3.0,
        ge=0.01,
        le=100,
        description="by how many times the treatment raises the odds of a responding clone",
    )
    responders: float = Field(
        0.3, gt=0, le=0.5, description="share of clones that respond; shares show changes against most clones"
    )
    concentration: float = Field(
        50.0,
        ge=1,
        description="how alike animals are (Dirichlet): at 50, a clone of 10 % holds 10 ± 4 % of an animal",
    )
    cells: int = Field(2000, ge=10, le=10**12, description="cells assigned to clones, per animal")
    # answers
    alpha: float = Field(
        0.05, gt=0, lt=0.5, description="error allowed: false positive rate, and false discoveries"
    )
    power: float = Field(0.8, gt=0, lt=1, description="power wanted")
    n_simulations: int = Field(500, ge=50, le=20_000, description="simulated experiments")
    seed: int = Field(0, ge=0, description="the same seed gives the same plan")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.effect == 1:
            raise ValueError("effect is 1, which is none: give a number above or below (1.5, 0.5)")
        if self.clones is not None and self.clones > self.founders:
            raise ValueError(
                f"clones is {self.clones}, founders {self.founders}: "
                f"each clone needs a founder; raise founders or lower clones"
            )
        return self
