"""Planning: how many founders, markers and animals an experiment needs."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from rgbtrack.plan.params import PlanParams
    from rgbtrack.plan.plan import Plan, plan_experiment
    from rgbtrack.plan.summary import summary_tables

# the command line shows the settings in its help: that must not wait for the compiler
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "params": ["PlanParams"],
        "plan": ["Plan", "plan_experiment"],
        "summary": ["summary_tables"],
    },
)

__all__ = ["Plan", "PlanParams", "plan_experiment", "summary_tables"]
