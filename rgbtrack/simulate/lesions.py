"""Lesions with planted founders: cells of primary tumours, circulation and metastases, as a table."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from rgbtrack.errors import ParamError

CELL_UM = 14.0
_APART_UM = 60.0
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class LesionScene(NamedTuple):
    """Cells as called, the truth of each lesion, and who is taken for whom.

    Attributes
    ----------
    cells
        As `rgbtrack.tables.CELLS`, without colours; ``true_clone`` and ``true_lesion`` tell what was planted.
    lesions
        One row per lesion: ``image_id, true_lesion``, the sample, ``n_cells``, ``n_founders``, ``n_colours``.
    confusion
        P(called column | is row).
    samples
        One row per image, images without cells included.
    """

    cells: pd.DataFrame
    lesions: pd.DataFrame
    confusion: pd.DataFrame
    samples: pd.DataFrame


def simulate_lesions(
    *,
    n_clones: int = 12,
    subjects: int = 4,
    lesions: tuple[float, float] = (8.0, 8.0),
    founders: tuple[float, float] = (0.7, 0.7),
    median_cells: float = 25.0,
    misassignment: tuple[float, float] = (0.02, 0.15),
    strays: float = 0.005,
    animal_sd: float = 0.4,
    primary_cells: int = 600,
    circulating: int = 60,
    seed: int = 0,
) -> LesionScene:
    """Plant lesions with known founders in the animals of two arms.

    Parameters
    ----------
    n_clones
        Clones of the primary tumours, shared by all animals; shares are lognormal.
    subjects
        Animals per arm.
    lesions
        Mean number of lesions per animal in the arms "vehicle" and "isoproterenol"; animals scatter.
    founders
        Mean of the Poisson number of founders of a lesion in the arms, those without a founder left out; 0 is
        one founder each. Founders are drawn by the animal's own shares.
    median_cells
        Of a lesion; ln sd 1.
    misassignment
        Least and largest share of a clone's cells that are called for another: one other clone in the main.
    strays
        Share of lone cells of any clone among those of a lesion.
    animal_sd
        ln sd of clone shares and of numbers of lesions between animals.
    primary_cells, circulating
        Cells of an animal's primary tumour and circulation.
    seed
        The same seed plants the same lesions.

    Raises
    ------
    ParamError
        If there are fewer than two clones.
    """
    if n_clones < 2:
        raise ParamError(f"n_clones is {n_clones}: give 2 or more")
    rng = np.random.default_rng(seed)
    share = rng.lognormal(0, 0.8, n_clones)
    partner, error = _pairs(n_clones, misassignment, rng)
    images, truth, samples = [], [], []
    for arm, treatment in enumerate(("vehicle", "isoproterenol")):
        for number in range(subjects):
            subject = f"m{arm * subjects + number + 1}"
            own = share * rng.lognormal(0, animal_sd, n_clones)
            own /= own.sum()
            row: dict[str, Any] = {"subject": subject, "treatment": treatment, "timepoint": 28.0}
            n = rng.poisson(lesions[arm] * rng.lognormal(-(animal_sd**2) / 2, animal_sd))
            planted = [_plant(own, founders[arm], median_cells, strays, rng) for _ in range(n)]
            for site, groups in (
                ("primary", [rng.choice(n_clones, primary_cells, p=own)]),
                ("blood", list(rng.choice(n_clones, (circulating, 1), p=own))),
                ("lung", [clones for clones, _ in planted]),
            ):
                image_id = f"{subject}_{site}"
                samples.append({"image_id": image_id, **row, "site": site})
                if groups:
                    images.append(_lay_out(groups, rng).assign(image_id=image_id, **row, site=site))
            for k, (clones, who) in enumerate(planted):
                truth.append(
                    {"image_id": f"{subject}_lung", "true_lesion": k + 1, **row, "site": "lung"}
                    | {"n_cells": len(clones), "n_founders": len(who), "n_colours": len(np.unique(who))}
                )
    cells = pd.concat(images, ignore_index=True)
    cells["cell"] = cells.groupby("image_id").cumcount() + 1
    cells["frame"] = 0
    called, probability = _call(cells["true_clone"].to_numpy() - 1, partner, error, share, rng)
    cells["colour_clone"] = pd.array(called + 1, dtype="Int64")
    cells["colour_probability"] = probability
    cells["clone"], cells["clone_probability"] = cells["colour_clone"], probability
    names = np.arange(1, n_clones + 1)
    confusion = _confusion(n_clones, partner, error, share, rng)
    columns = [*truth[0]] if truth else ["image_id", "true_lesion", *samples[0], "n_cells", "n_founders"]
    return LesionScene(
        cells,
        pd.DataFrame(truth, columns=columns),
        pd.DataFrame(confusion, pd.Index(names, name="true_clone"), pd.Index(names, name="clone")),
        pd.DataFrame(samples),
    )


def _pairs(k: int, misassignment: tuple[float, float], rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Partner of each clone, the last of an odd number paired with the first, and errors of each pair."""
    order = rng.permutation(k)
    partner = np.empty(k, dtype=np.int64)
    for first, second in zip(order[::2], np.append(order[1::2], order[:1] if k % 2 else []), strict=True):
        partner[int(first)] = int(second)
        if k % 2 == 0 or first != order[-1]:
            partner[int(second)] = int(first)
    error = rng.uniform(*misassignment, k)
    error = np.where(partner[partner] == np.arange(k), np.minimum(error, error[partner]), error)
    return partner, error


def _plant(
    share: Floats, mean: float, median: float, strays: float, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Clone of each cell of a lesion, and of each of its founders."""
    n_founders = 1
    if mean > 0:
        while (n_founders := int(rng.poisson(mean))) == 0:
            pass
    who = rng.choice(len(share), n_founders, p=share)
    n = max(3, round(median * rng.lognormal(0, 1.0)))
    clones = rng.choice(who, n, p=rng.dirichlet(np.full(n_founders, 2.0)))
    stray = rng.random(n) < strays
    clones[stray] = rng.choice(len(share), int(stray.sum()), p=share)
    return clones, who


def _lay_out(groups: list[Ints], rng: np.random.Generator) -> pd.DataFrame:
    """Cells of each group as a disc, the discs apart on a grid, clones mixed within."""
    radius = CELL_UM * 0.55 * np.sqrt(max(map(len, groups)))
    side = int(np.ceil(np.sqrt(len(groups))))
    parts = []
    for k, clones in enumerate(groups):
        n = len(clones)
        # a sunflower: even, whatever the number
        turn = np.pi * (3 - np.sqrt(5)) * np.arange(n) + rng.uniform(0, 2 * np.pi)
        out = CELL_UM * 0.5 * np.sqrt(np.arange(n) + 0.5)
        centre = (2 * radius + _APART_UM) * (np.array(divmod(k, side)) + 0.5)
        place = centre + (out * np.array([np.sin(turn), np.cos(turn)])).T + rng.normal(0, 0.8, (n, 2))
        parts.append(
            pd.DataFrame(
                {
                    "true_lesion": k + 1,
                    "true_clone": clones + 1,
                    "y_um": place[:, 0],
                    "x_um": place[:, 1],
                    "area_um2": np.pi / 4 * CELL_UM**2 * rng.lognormal(0, 0.2, n),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _call(
    true: Ints, partner: Ints, error: Floats, share: Floats, rng: np.random.Generator
) -> tuple[Ints, Floats]:
    """Call each cell its own clone or the partner, with calibrated probabilities.

    Colours of a pair lie a distance ``d`` apart, of which ``error = Phi(-d/2)`` are nearer to the other.
    """
    distance = -2 * ndtri(np.clip(error[true], 1e-6, 0.499))
    evidence = distance**2 / 2 + distance * rng.normal(size=len(true))
    log_odds = evidence + np.log(share[true] / share[partner[true]])
    wrong = log_odds < 0
    return np.where(wrong, partner[true], true), 1 / (1 + np.exp(-np.abs(log_odds)))


def _confusion(k: int, partner: Ints, error: Floats, share: Floats, rng: np.random.Generator) -> Floats:
    """P(called j | is i) of `_call`, shape (k, k)."""
    n = 20_000
    true = np.repeat(np.arange(k), n)
    called, _ = _call(true, partner, error, share, rng)
    return np.bincount(true * k + called, minlength=k * k).reshape(k, k) / n
