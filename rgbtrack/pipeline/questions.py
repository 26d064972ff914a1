"""Whether what is asked of clone dynamics can be answered from the sample sheet."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from rgbtrack.dynamics import DynamicsParams, ResponseParams
from rgbtrack.pipeline.sheet import nearest
from rgbtrack.tables import CLONE_SIZES, SAMPLES

_TOTALS = tuple(column.name for column in SAMPLES.columns if column.name.startswith("total_"))


def question_problems(file: str, params: DynamicsParams, samples: pd.DataFrame) -> list[str]:
    """Tell what the settings of clone dynamics ask for and the sample sheet lacks, one line each.

    Parameters
    ----------
    file
        Name of experiment.toml.
    params
        Its section.
    samples
        The sample sheet.
    """
    problems = [f"{file}: [dynamics.response] {line}" for line in _of_response(params.response, samples)]
    sites = sorted(set(samples["site"])) if "site" in samples.columns else []
    if "source" in params.lesions.model_fields_set and params.lesions.source not in sites:
        problems.append(
            f"{file}: [dynamics.lesions] source {params.lesions.source!r} is no site of the sheet "
            f"({', '.join(map(repr, sites))})"
        )
    told = any(name in samples.columns and samples[name].notna().any() for name in _TOTALS)
    if params.growth.kind == "absolute" and not told:
        problems.append(
            f"{file}: [dynamics.growth] kind is 'absolute', but the sheet has no total: fill in the column "
            f"total_cells, or ask for relative growth"
        )
    return problems


def _of_response(params: ResponseParams, samples: pd.DataFrame) -> Iterator[str]:
    control = params.control
    named = control if isinstance(control, Mapping) else {} if control is None else {"treatment": control}
    columns = [str(name) for name in samples.columns]
    for factor, level in named.items():
        levels = sorted(set(samples[factor].dropna().astype(str))) if factor in columns else []
        if factor not in columns:
            yield f"control names {factor!r}, no column of the sheet: {nearest(factor, columns)}"
        elif level not in levels:
            found = ", ".join(map(repr, levels))
            yield f"control {level!r} is not in column {factor} ({found}): {nearest(level, levels)}"
    sizes = [column.name for column in CLONE_SIZES.columns if column.unit.startswith("cells")]
    if params.size not in sizes:
        yield f"size is {params.size!r}, no column of sizes: {nearest(params.size, sizes)}"
    days = np.unique(samples["timepoint"].dropna().to_numpy(float))
    listed = ", ".join(f"{day:g}" for day in days)
    if isinstance(params.timepoint, float) and len(days) and params.timepoint not in days:
        yield f"timepoint is {params.timepoint:g}, no day of the sheet: give one of {listed}"
    event = params.event_time
    if isinstance(event, str) and event not in columns:
        yield f"event_time names {event!r}, no column of the sheet: {nearest(event, columns)}"
    if isinstance(event, float) and len(days) and not days[0] <= event < days[-1]:
        yield f"event_time is {event:g}: give a day with samples before and after it, of {listed}"
