"""The report: one page that a bench biologist reads without a manual."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from rgbtrack.report.params import ReportParams
    from rgbtrack.report.write import write_report

# settings are read by every command: they must not wait for figures and templates
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__, submod_attrs={"params": ["ReportParams"], "write": ["write_report"]}
)

__all__ = ["ReportParams", "write_report"]
