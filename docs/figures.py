"""Make the pictures of the pages from the results of the two sample experiments.

python docs/figures.py sample_data/results sample_data/time_lapse/results
"""

import sys
from pathlib import Path

import cv2

IMAGES = Path(__file__).parent / "images"
WIDEST = 900
"""Columns of a picture, at most."""
STILL = {
    "unmixing": "figures/correction_unmixing.png",
    "illumination": "figures/correction_illumination_session_d7.png",
    "snr": "figures/snr_per_image.png",
    "ternary": "figures/ternary.png",
    "resolution": "figures/resolution.png",
    "hue_saturation": "figures/hue_saturation.png",
    "fractions": "figures/stacked_fractions.png",
    "growth": "figures/growth_curves.png",
    "forest": "figures/response_forest.png",
    "diversity": "figures/diversity.png",
    "outlines": "closeups/vehicle_m1_d0.png",
}
MOVING = {"tracks": "figures/trajectories_1.png", "lineages": "figures/lineages.png"}


def main(still: Path, moving: Path) -> None:
    """Shrink and copy them."""
    for results, figures in ((still, STILL), (moving, MOVING)):
        for name, file in figures.items():
            picture = cv2.imread(str(results / file))
            if picture is None:
                raise SystemExit(f"{results / file}: no such picture")
            share = min(1.0, WIDEST / picture.shape[1])
            small = cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(IMAGES / f"{name}.png"), small, [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
