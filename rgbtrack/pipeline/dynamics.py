"""Clone dynamics of a run: sizes, and every table that follows from them."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

import rgbtrack
from rgbtrack.clones import load_clones, rehearse_calls
from rgbtrack.dynamics import (
    Clonality,
    DynamicsParams,
    Enrichment,
    call_clonality,
    clone_diversity,
    clone_growth,
    clone_response,
    clone_sizes,
    clone_times,
    clone_turnover,
    compare_seeding,
    count_founders,
    diversity_by_treatment,
    find_lesions,
    growth_by_treatment,
    rank_abundance,
    response_heterogeneity,
    site_enrichment,
    site_overlap,
    size_departure,
    size_spectrum,
    subject_similarity,
    turnover_by_treatment,
    wide_table,
)
from rgbtrack.errors import DataError, ParamError, RgbtrackWarning
from rgbtrack.files import read_table, sha256, write_table
from rgbtrack.pipeline.called import called_file
from rgbtrack.pipeline.experiment import Experiment
from rgbtrack.pipeline.steps import Step, doing, done
from rgbtrack.tables import counted

"""The site that others were seeded from."""


@dataclass(frozen=True, eq=False)
class Given:
    """What the tables are made of."""

    sizes: pd.DataFrame
    cells: pd.DataFrame
    clones: pd.DataFrame
    samples: pd.DataFrame
    rehearsed: pd.DataFrame | None
    params: DynamicsParams
    control: str

    @cached_property
    def clonality(self) -> Clonality:
        """Lesions of all sites but the source, and their clones."""
        source = self.params.lesions.source
        cells = self.cells if "site" in self.cells.columns else self.cells.assign(site=source)
        away = cells["site"] != source
        found = find_lesions(cells[away], self.params.lesions)
        both = pd.concat([found.cells, cells[~away]], ignore_index=True)
        confusion = None
        if self.rehearsed is not None:
            drawn = self.rehearsed.dropna(subset=["true_clone", "clone"])
            confusion = pd.crosstab(drawn["true_clone"], drawn["clone"])
        return call_clonality(both, found.lesions, self.params.lesions, confusion=confusion)

    @cached_property
    def enrichment(self) -> Enrichment:
        """Clones of each site against the source."""
        return site_enrichment(
            self.sizes,
            self.params.lesions,
            source=self.params.lesions.source,
            control=self.control,
            clones=self.clones,
        )


def _always(_: Given) -> bool:
    return True


def _has_sites(given: Given) -> bool:
    """Whether there is anywhere to seed to."""
    return len(set(given.sizes["site"])) > 1


@dataclass(frozen=True)
class Recipe:
    """How a table is made, the table that it needs, by name, and whether there is anything to make."""

    make: Callable[[Given, dict[str, pd.DataFrame]], pd.DataFrame]
    needs: str = ""
    applies: Callable[[Given], bool] = _always


DYNAMICS = {
    "growth": Recipe(lambda given, _: clone_growth(given.sizes, given.params.growth)),
    "growth_by_treatment": Recipe(
        lambda given, _: growth_by_treatment(given.sizes, given.params.growth, control=given.control)
    ),
    "clone_times": Recipe(lambda given, _: clone_times(given.sizes)),
    "response": Recipe(lambda given, _: clone_response(given.sizes, given.params.response)),
    "heterogeneity": Recipe(lambda given, _: response_heterogeneity(given.sizes, given.params.response)),
    "diversity": Recipe(lambda given, _: clone_diversity(given.sizes, given.params.diversity)),
    "diversity_by_treatment": Recipe(
        lambda given, made: diversity_by_treatment(made["diversity"], control=given.control), "diversity"
    ),
    "rank_abundance": Recipe(lambda given, _: rank_abundance(given.sizes, given.params.diversity)),
    "size_distribution": Recipe(lambda given, _: size_spectrum(given.sizes, given.params.diversity)),
    "size_departure": Recipe(lambda given, _: size_departure(given.sizes, given.params.diversity)),
    "turnover": Recipe(lambda given, _: clone_turnover(given.sizes, given.params.diversity)),
    "turnover_by_treatment": Recipe(
        lambda given, made: turnover_by_treatment(made["turnover"], control=given.control), "turnover"
    ),
    "subject_similarity": Recipe(lambda given, _: subject_similarity(given.sizes, given.params.diversity)),
    "site_overlap": Recipe(
        lambda given, _: site_overlap(given.sizes, given.params.lesions, clones=given.clones),
        applies=_has_sites,
    ),
    "site_clones": Recipe(lambda given, _: given.enrichment.subjects, applies=_has_sites),
    "site_enrichment": Recipe(lambda given, _: given.enrichment.arms, applies=_has_sites),
    "lesions": Recipe(lambda given, _: given.clonality.lesions, applies=_has_sites),
    "lesion_clones": Recipe(lambda given, _: given.clonality.clones, applies=_has_sites),
    "seeding": Recipe(
        lambda given, made: count_founders(
            made["lesions"],
            given.sizes,
            given.params.lesions,
            samples=given.samples,
            source=given.params.lesions.source,
        ),
        "lesions",
        _has_sites,
    ),
    "seeding_effects": Recipe(
        lambda given, made: compare_seeding(made["seeding"], given.params.lesions, control=given.control),
        "seeding",
        _has_sites,
    ),
    # as Prism plots them: arms side by side, a column per subject
    "prism_shares": Recipe(lambda given, _: _wide(given, given.sizes, "fraction", ["clone"])),
    "prism_cells": Recipe(lambda given, _: _wide(given, given.sizes, "n_cells", ["clone"])),
    "prism_diversity": Recipe(
        lambda given, made: _wide(given, made["diversity"], "standardised", ["q"]), "diversity"
    ),
    "prism_growth": Recipe(
        lambda given, made: wide_table(
            made["growth"], "rate_per_d", ["site", "kind", "clone"], control=given.control
        ),
        "growth",
    ),
}
"""Tables in the folder ``dynamics``, by name, in the order in which they are made."""


def dynamics_step(experiment: Experiment, results: Path, records: dict[str, dict[str, Any]]) -> Step:
    """What sizes, and the tables of `DYNAMICS`, rest on."""
    rests_on = {
        "version": rgbtrack.__version__,
        "[dynamics]": _with_control(experiment).model_dump(),
        "[clones] palette": experiment.clones.palette,
        "cells": sha256(called_file(results)),
        "sample sheet": _samples(experiment, records).to_json(),
    }
    names = ["clone_sizes.csv", *(f"dynamics/{name}.csv" for name in DYNAMICS)]
    return Step("dynamics", rests_on, lambda folder: [folder / name for name in names])


def _samples(experiment: Experiment, records: dict[str, dict[str, Any]]) -> pd.DataFrame:
    return experiment.samples[experiment.samples["image_id"].isin(done(records))]


def describe_dynamics(
    experiment: Experiment, results: Path, records: dict[str, dict[str, Any]], overwrite: bool
) -> None:
    """Write clone_sizes.csv and the tables of `DYNAMICS`, unless they are up to date.

    A table that the data do not allow is not written; run.json tells why, and what is to be known of others.
    """
    source = called_file(results)
    folder = results / "dynamics"
    samples = _samples(experiment, records)
    params = _with_control(experiment)
    with doing(results, dynamics_step(experiment, results, records), overwrite) as told:
        if told is None:
            return
        cells, clones = read_table(source), read_table(results / "clones.csv")
        rehearsed = _rehearse(results, cells)
        sizes = clone_sizes(cells, params, samples=samples, rehearsed=rehearsed)
        if experiment.clones.palette == "subject":  # a clone of one subject is not absent in the others
            own = cells.dropna(subset=["clone"]).groupby("clone")["subject"].first()
            sizes = sizes[sizes["clone"].map(own) == sizes["subject"]].reset_index(drop=True)
        write_table(results / "clone_sizes.csv", sizes)
        shown = counted(cells)
        given = Given(sizes, shown, clones, samples, rehearsed, params, experiment.control)
        made, told["not_told"], told["remarks"] = make_tables(given)
        for name in DYNAMICS:
            if name in made:
                write_table(folder / f"{name}.csv", made[name])
            else:
                (folder / f"{name}.csv").unlink(missing_ok=True)


def make_tables(
    given: Given,
) -> tuple[dict[str, pd.DataFrame], dict[str, str], dict[str, list[str]]]:
    """Tables by name; why others cannot be made; and what is to be known of those that can."""
    made: dict[str, pd.DataFrame] = {}
    not_told: dict[str, str] = {}
    remarks: dict[str, list[str]] = {}
    for name, recipe in DYNAMICS.items():
        if not recipe.applies(given):
            continue
        if recipe.needs in not_told:
            not_told[name] = not_told[recipe.needs]
            continue
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", RgbtrackWarning)
            try:
                made[name] = recipe.make(given, made)
            except (DataError, ParamError) as error:
                not_told[name] = str(error)
        said = [str(item.message) for item in caught if issubclass(item.category, RgbtrackWarning)]
        if said:
            remarks[name] = list(dict.fromkeys(said))
    return made, not_told, remarks


def _wide(given: Given, table: pd.DataFrame, value: str, rows: list[str]) -> pd.DataFrame:
    return wide_table(table, value, ["site", *rows, "timepoint"], control=given.control)


def _rehearse(results: Path, cells: pd.DataFrame) -> pd.DataFrame | None:
    """Cells of the fitted clones with their calls; None where clones were not fitted, or changed by hand."""
    path = results / "clone_model.json"
    by_hand = "corrected_by" in cells and cells["corrected_by"].notna().any()
    if not path.is_file() or by_hand or cells["clone"].isna().all():
        return None
    with threadpool_limits(1):
        return rehearse_calls(counted(cells), load_clones(path))


def _with_control(experiment: Experiment) -> DynamicsParams:
    """Settings in which responses are held against the experiment's control, unless they name another."""
    params, control = experiment.dynamics, experiment.dynamics.response.control
    if isinstance(control, str):
        return params
    named = experiment.control if control is None else {"treatment": experiment.control, **control}
    response = params.response.with_settings({"control": named})
    return params.model_copy(update={"response": response})
