"""The figures of a plan as small tables to read."""

from typing import Any

import numpy as np
import pandas as pd

from rgbtrack.plan.plan import Plan

_FOUNDERS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)


def summary_tables(plan: Plan) -> dict[str, pd.DataFrame]:
    """Sum up a plan in tables of a few rows, by title, rounded and in percent."""
    return {
        "Clones by number of founders": _founders(plan),
        "Chance that a clone is one founder (%), by share of cells transduced with each vector": _options(
            plan
        ),
        "Experiments in which a response is found (%), by animals per arm": _power(plan),
    }


def _founders(plan: Plan) -> pd.DataFrame:
    table = plan.founders
    wanted = np.multiply(_FOUNDERS, plan.params.founders)
    rows = sorted({int(np.abs(table["founders"] - n).argmin()) for n in wanted})
    chosen = table.iloc[rows]
    low, high = (chosen[f"distinguishable_{end}"].round().astype(int).astype(str) for end in ("low", "high"))
    return pd.DataFrame(
        {
            "founders": chosen["founders"],
            "clones told apart": chosen["distinguishable"].round(1),
            "in 90 %": low + " to " + high,
            "of them one founder": (chosen["clone_unique"] * chosen["distinguishable"]).round(1),
            "chance to be one (%)": _percent(chosen["clone_unique"]),
        }
    )


def _options(plan: Plan) -> pd.DataFrame:
    table = plan.options.pivot_table(index="n_markers", columns="share_transduced", values="clone_unique")
    table.columns = pd.Index([f"{share:.0%}" for share in table.columns])
    return pd.DataFrame(_percent(table)).reset_index(names="markers")


def _power(plan: Plan) -> pd.DataFrame:
    table = plan.power.pivot_table(index="subjects", columns="effect", values="power")
    table.columns = pd.Index([f"odds x {effect:.2g}" for effect in table.columns])
    planned = plan.power[plan.power["effect"] == plan.params.effect].set_index("subjects")
    false = plan.false_positives.set_index("subjects")
    table["clones found (plan)"] = planned["clones_found"]
    table["no effect"] = false["overall"]
    table["no effect, cells as replicates (wrong)"] = false["cells"]
    return pd.DataFrame(_percent(table)).reset_index(names="animals")


def _percent(shares: Any) -> Any:
    return (100 * shares).round().astype(int)
