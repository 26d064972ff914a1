"""Every figure, for report and notebook alike.

Each function takes tables (see `rgbtrack.tables`) and returns a new matplotlib ``Figure``; nothing global is
touched. In a notebook, ``%matplotlib inline`` shows a figure that a cell ends with.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from rgbtrack.plot.background import plot_background
    from rgbtrack.plot.bands import clone_bands
    from rgbtrack.plot.bleed_through import bleed_through_lines
    from rgbtrack.plot.colours import clone_colours
    from rgbtrack.plot.confusion import plot_confusion
    from rgbtrack.plot.corrected import plot_shift, plot_unmixing
    from rgbtrack.plot.diversity import plot_diversity
    from rgbtrack.plot.dots import subject_dots
    from rgbtrack.plot.drift import plot_drift
    from rgbtrack.plot.fading import plot_fading
    from rgbtrack.plot.fractions import cell_numbers, fraction_dots, stacked_fractions
    from rgbtrack.plot.gains import plot_gains
    from rgbtrack.plot.growth import growth_curves, growth_rates
    from rgbtrack.plot.hue import hue_saturation
    from rgbtrack.plot.illumination import plot_illumination
    from rgbtrack.plot.lesions import lesion_bars, lesion_map
    from rgbtrack.plot.lineages import plot_lineages
    from rgbtrack.plot.maps import clone_map, paint_clones
    from rgbtrack.plot.motility import plot_by_subject, plot_msd, plot_rates
    from rgbtrack.plot.plan import plot_plan
    from rgbtrack.plot.quality import (
        brightness_histogram,
        cell_sizes,
        rejected_counts,
        snr_histogram,
        snr_per_image,
    )
    from rgbtrack.plot.ranks import plot_ranks
    from rgbtrack.plot.reliability import plot_reliability
    from rgbtrack.plot.resolution import plot_resolution
    from rgbtrack.plot.response import response_forest, response_volcano
    from rgbtrack.plot.sites import seeding_alluvial, site_heatmap
    from rgbtrack.plot.space import ternary
    from rgbtrack.plot.spectrum import plot_spectrum
    from rgbtrack.plot.style import save_figure
    from rgbtrack.plot.tracks import plot_flower, plot_trajectories
    from rgbtrack.plot.turnover import plot_turnover

# matplotlib takes half a second to load: only those who draw wait for it
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "background": ["plot_background"],
        "bands": ["clone_bands"],
        "bleed_through": ["bleed_through_lines"],
        "colours": ["clone_colours"],
        "confusion": ["plot_confusion"],
        "corrected": ["plot_shift", "plot_unmixing"],
        "diversity": ["plot_diversity"],
        "dots": ["subject_dots"],
        "drift": ["plot_drift"],
        "fading": ["plot_fading"],
        "fractions": ["cell_numbers", "fraction_dots", "stacked_fractions"],
        "gains": ["plot_gains"],
        "growth": ["growth_curves", "growth_rates"],
        "hue": ["hue_saturation"],
        "illumination": ["plot_illumination"],
        "lesions": ["lesion_bars", "lesion_map"],
        "lineages": ["plot_lineages"],
        "maps": ["clone_map", "paint_clones"],
        "motility": ["plot_by_subject", "plot_msd", "plot_rates"],
        "plan": ["plot_plan"],
        "quality": [
            "brightness_histogram",
            "cell_sizes",
            "rejected_counts",
            "snr_histogram",
            "snr_per_image",
        ],
        "ranks": ["plot_ranks"],
        "reliability": ["plot_reliability"],
        "resolution": ["plot_resolution"],
        "response": ["response_forest", "response_volcano"],
        "sites": ["seeding_alluvial", "site_heatmap"],
        "space": ["ternary"],
        "spectrum": ["plot_spectrum"],
        "style": ["save_figure"],
        "turnover": ["plot_turnover"],
        "tracks": ["plot_flower", "plot_trajectories"],
    },
)

__all__ = [
    "bleed_through_lines",
    "brightness_histogram",
    "cell_numbers",
    "cell_sizes",
    "clone_bands",
    "clone_colours",
    "clone_map",
    "fraction_dots",
    "growth_curves",
    "growth_rates",
    "hue_saturation",
    "lesion_bars",
    "lesion_map",
    "paint_clones",
    "plot_background",
    "plot_by_subject",
    "plot_confusion",
    "plot_diversity",
    "plot_drift",
    "plot_fading",
    "plot_flower",
    "plot_gains",
    "plot_illumination",
    "plot_lineages",
    "plot_msd",
    "plot_plan",
    "plot_ranks",
    "plot_rates",
    "plot_reliability",
    "plot_resolution",
    "plot_shift",
    "plot_spectrum",
    "plot_trajectories",
    "plot_turnover",
    "plot_unmixing",
    "rejected_counts",
    "response_forest",
    "response_volcano",
    "save_figure",
    "seeding_alluvial",
    "site_heatmap",
    "snr_histogram",
    "snr_per_image",
    "stacked_fractions",
    "subject_dots",
    "ternary",
]
