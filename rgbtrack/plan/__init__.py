"""Planning: how many founders, markers and animals an experiment needs."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from rgbtrack.plan.params import PlanParams
    from rgbtrack.plan.plan import Plan, plan_experiment

# the command line reads the settings to show its help: that must not wait for the compiler
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__, submod_attrs={"params": ["PlanParams"], "plan": ["Plan", "plan_experiment"]}
)

__all__ = ["Plan", "PlanParams", "plan_experiment"]
