"""Settings of clonal identity."""

from typing import Literal

from pydantic import Field, StrictFloat, StrictInt, StrictStr

from rgbtrack.params import Params


class ClonesParams(Params):
    """How cells are gathered into clones."""

    palette: Literal["experiment", "subject"] = Field(
        "experiment",
        description="experiment: clones are shared by all subjects; subject: each has clones of its own",
    )
    method: Literal["ray", "gmm", "hdbscan", "threshold"] = Field(
        "ray",
        description="ray: the noise-aware mixture; for comparison gmm: a plain Gaussian mixture with BIC, "
        "hdbscan: clusters of density, threshold: unit vectors within a distance",
    )
    model: str | None = Field(
        None,
        description="clones found before (clone_model.json of a results folder): cells are called with them, "
        "and none are looked for; None: clones are looked for",
        json_schema_extra={"format": "file-path"},
    )
    min_probability: float = Field(
        0.5,
        ge=0,
        le=1,
        description="a cell is called only if its best clone is at least this probable among all clones",
    )
    gains: Literal["auto", "image", "batch", "none"] = Field(
        "auto",
        description="what shares detector gains: each image, each batch, or nothing; "
        "auto takes the batch column if it holds several batches, else the image",
    )
    gain_drift: float = Field(
        0.1,
        gt=0,
        le=0.5,
        description="how far detector gains drift from one image or batch to the next (0.1 is 10 %)",
    )
    leak_drift: float = Field(
        0.02,
        gt=0,
        le=0.2,
        description="how far bleed-through drifts from one image or batch to the next, as a share of the "
        "marker it comes from",
    )
    spatial: bool = Field(
        True,
        description="whether neighbours in tissue and links in time sharpen calls, where there is evidence "
        "that they share clones; colour_clone and colour_probability are by colour alone either way",
    )
    max_clones: int = Field(200, ge=1, le=2000, description="the largest number of clones looked for")
    min_cells: int = Field(3, ge=2, description="the fewest cells that make a clone (cells)")
    strictness: float = Field(
        1.5,
        gt=0,
        le=10,
        description="how much evidence a further clone needs, in units of the Bayesian information criterion",
    )
    starts: int = Field(3, ge=1, le=50, description="how often the search starts anew; the best fit is kept")
    max_fit_cells: int = Field(
        12_000,
        ge=100,
        description="clones are looked for among at most so many cells, drawn at random; all are then called",
    )
    founders: dict[str, StrictStr | StrictInt | StrictFloat] = Field(
        {},
        description="the founder sample, by columns of the sample sheet: { timepoint = 0 }; its clones stand "
        "for the founders. Empty: all clones do",
    )
    seed: int = Field(0, ge=0, description="seed of every random draw: the same seed gives the same clones")
