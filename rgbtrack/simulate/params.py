"""What a simulated image is like: one declaration of each setting, presets, and the cases that must exist."""

from typing import Literal, Self

from pydantic import Field, model_validator

from rgbtrack.errors import ParamError
from rgbtrack.params import Params


class SimulateParams(Params):
    """How RGB-marked cells come about and how they are imaged."""

    # founders
    markers: tuple[str, ...] = Field(
        ("mCherry", "Venus", "Cerulean"), description="proteins, one vector and one detector each"
    )
    n_clones: int = Field(12, ge=1, description="number of founders")
    share_marked: float = Field(
        0.5, gt=0, lt=1, description="share of founders that carry a given vector; copies are Poisson"
    )
    copy_sd: float = Field(0.6, ge=0, description="ln sd of the expression of one copy")
    size_sd: float = Field(1.0, ge=0, description="ln sd of clone sizes")
    founders: tuple[tuple[float, ...], ...] | None = Field(
        None, description="colours of the founders, instead of random ones"
    )
    shares: tuple[float, ...] | None = Field(None, description="clone sizes, instead of random ones")
    unmarked: float = Field(0.05, ge=0, le=1, description="share of cells without a marker")
    # cells
    n_cells: int | None = Field(None, ge=0, description="number of cells; None: as packing gives")
    packing: float = Field(0.3, ge=0, le=0.97, description="share of the field covered by cells")
    diameter_um: float = Field(14.0, gt=0, description="mean cell diameter, um")
    diameter_cv: float = Field(0.2, ge=0, lt=1, description="spread of diameters, share of the mean")
    patchiness: float = Field(1.5, ge=0, description="how far clones keep together; 0: mixed")
    brightness_sd: float = Field(
        0.4, ge=0, description="ln sd of brightness within a clone, shared by all markers"
    )
    colour_sd: float = Field(0.1, ge=0, description="ln sd of each marker within a clone")
    silenced: float = Field(
        0.0, ge=0, le=1, description="share of cells of the first clone that lost a marker"
    )
    step_um: float = Field(2.0, ge=0, description="sd of a cell's step from frame to frame, um")
    division_rate: float = Field(0.0, ge=0, lt=1, description="divisions per cell and frame")
    contact: float = Field(
        0.0,
        ge=0,
        le=1,
        description="cells push off nearer than this share of a diameter as they move; 0: never",
    )
    # field
    size_px: int = Field(512, ge=4, description="height and width, px")
    n_slices: int = Field(1, ge=1, description="slices of a z-stack")
    n_frames: int = Field(1, ge=1, description="frames of a time series")
    pixel_size_um: float = Field(0.65, gt=0, description="um per px")
    z_step_um: float = Field(2.0, gt=0, description="um per slice")
    frame_interval_h: float = Field(0.5, gt=0, description="h per frame")
    nucleus: bool = Field(False, description="add a channel of a nuclear stain, named DAPI")
    # light
    photons: float = Field(1000.0, ge=0, description="photons a pixel at the peak of a typical clone")
    optics: Literal["widefield", "confocal"] = Field(
        "widefield", description="bleed-through, haze and depth of focus"
    )
    background: float = Field(
        4.0, ge=0, description="background photons a pixel in the last marker's detector"
    )
    gradient: float = Field(0.2, ge=0, lt=1, description="background gradient across the field")
    vignetting: float = Field(0.2, ge=0, lt=1, description="light lost in the corners")
    lamps: tuple[tuple[float, float, float], ...] | None = Field(
        None,
        description="one per marker, instead of vignetting: light lost a field's half diagonal away from "
        "where it is brightest, and where that is (y, x; 0 the centre, -1 and 1 the edges)",
    )
    debris: float = Field(0.01, ge=0, description="bright autofluorescent specks per cell")
    attenuation_um: float | None = Field(
        None,
        gt=0,
        description="depth at which the last marker has faded to 1/e; the first fades at twice that depth",
    )
    bleaching: float = Field(0.0, ge=0, lt=1, description="share of light lost from frame to frame")
    marker_bleaching: tuple[float, ...] | None = Field(
        None, description="share of its light that each marker loses from frame to frame, on top of that"
    )
    gains: tuple[float, ...] | None = Field(
        None, description="detector gains of this session, one per marker"
    )
    # detector
    offset: float = Field(100.0, ge=0, description="counts without light")
    counts_per_photon: float = Field(2.0, gt=0, description="detector gain")
    read_noise: float = Field(1.5, ge=0, description="photo-electrons")
    excess_noise: float = Field(1.0, ge=1, description="noise over Poisson: 1.3 for a photomultiplier")
    bits: int = Field(16, ge=8, le=16, description="what is above saturates")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        problems = []
        n = len(self.markers)
        if not 2 <= n <= 7 or len(set(self.markers)) != n:
            problems.append(f"markers are {', '.join(self.markers)}: give 2 to 7 different names")
        if self.founders is not None and any(len(colour) != n for colour in self.founders):
            problems.append(f"founders must give {n} values each, one per marker")
        if self.gains is not None and len(self.gains) != n:
            problems.append(f"gains are {self.gains}: give {n}, one per marker")
        if self.lamps is not None and (len(self.lamps) != n or self._darkest() <= 0):
            problems.append(f"lamps are {self.lamps}: give {n}, none of which leaves a corner dark")
        lost = self.marker_bleaching
        if lost is not None and (len(lost) != n or not all(0 <= share < 1 for share in lost)):
            problems.append(f"marker_bleaching is {lost}: give {n} shares from 0 to below 1")
        if self.shares is not None and len(self.shares) != self.number_of_clones:
            problems.append(
                f"shares are {len(self.shares)} numbers for {self.number_of_clones} clones: give one each"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _darkest(self) -> float:
        lamps = self.lamps or ((0.0, 0.0, 0.0),)
        return min(1 - v * ((1 + abs(y)) ** 2 + (1 + abs(x)) ** 2) / 2 for v, y, x in lamps)

    @property
    def number_of_clones(self) -> int:
        """Number of founders, given or drawn."""
        return len(self.founders) if self.founders is not None else self.n_clones


PRESETS: dict[str, SimulateParams] = {
    "sparse": SimulateParams(packing=0.3, photons=1500),
    "typical": SimulateParams(packing=0.65, photons=800),
    "dim_crowded": SimulateParams(packing=0.8, photons=120, patchiness=0.5),
    "confluent": SimulateParams(packing=0.95, photons=500, patchiness=0.5),
    "confocal": SimulateParams(
        packing=0.5,
        photons=80,
        optics="confocal",
        counts_per_photon=12,
        excess_noise=1.3,
        offset=40,
        read_noise=0.5,
        bits=12,
    ),
    "volume": SimulateParams(
        packing=0.2, size_px=192, n_slices=16, photons=400, optics="confocal", attenuation_um=60
    ),
    "timelapse": SimulateParams(packing=0.25, size_px=256, n_frames=8),
    "movie": SimulateParams(
        packing=0.35, size_px=320, n_frames=16, step_um=3.0, division_rate=0.02, contact=0.9, unmarked=0.0
    ),
    "sample": SimulateParams(packing=0.4, size_px=352, photons=400, n_clones=8, size_sd=0.7),
}
"""Kinds of image, by name."""

_THREE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
CASES: dict[str, SimulateParams] = {
    "one_colour": SimulateParams(founders=((0.3, 0, 0), (1, 0, 0), (3, 0, 0)), unmarked=0),
    "near_pair": SimulateParams(founders=((1, 0.5, 0.2), (1, 0.55, 0.2), (0, 1, 1)), shares=(1, 1, 1)),
    "silenced_subclone": SimulateParams(founders=((1, 1, 0.4), *_THREE), shares=(3, 1, 1, 1), silenced=0.3),
    "depth_gradient": PRESETS["volume"].model_copy(update={"attenuation_um": 20.0}),
    "gain_change": SimulateParams(gains=(1.2, 0.85, 1.1)),
    "saturated_clone": SimulateParams(founders=((6, 0, 0), (0.5, 0.5, 0), *_THREE[1:]), bits=12),
    "touching_colours": SimulateParams(founders=_THREE, packing=0.9, patchiness=0, unmarked=0),
    "unmarked_cells": SimulateParams(unmarked=0.5),
    "dominant_clone": SimulateParams(
        founders=(*_THREE, (1, 1, 0)), shares=(0.9, 0.06, 0.039, 0.001), size_px=1024, packing=0.5
    ),
    "empty": SimulateParams(n_cells=0, debris=0),
    "one_cell": SimulateParams(n_cells=1, unmarked=0, debris=0),
}
"""Images that any method must stand, by name."""


def preset_params(preset: str | SimulateParams) -> SimulateParams:
    """Settings by name, or as given.

    Raises
    ------
    ParamError
        If there is no such preset or case.
    """
    if isinstance(preset, SimulateParams):
        return preset
    known = PRESETS | CASES
    if preset not in known:
        raise ParamError(f"no preset is named {preset!r}: give one of {', '.join(known)}")
    return known[preset]
