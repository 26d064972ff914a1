"""laptrack, trackpy and btrack on one table of detections, each with several settings.

    python peer_trackers.py NAME STEP cells.csv tracks.csv

is run by an interpreter that holds the one named; it needs neither rgbtrack nor the truth. STEP is the sd of
a step along each axis, um: told, as none of them learns it. tracks.csv has a row per setting and detection:
``setting, row, track, parent``.
"""

import sys
from collections.abc import Iterator

import numpy as np
import pandas as pd

Tracks = tuple[str, pd.DataFrame]
"""What was set, and ``row, track, parent``."""
SISTERS_UM = 12.0
"""Tracks are joined (btrack) and split (both) within this; over 15 um btrack's search does not end."""
OPTIMISER_MS = 10_000
"""btrack's search for the best of all hypotheses is cut off here."""


def laptrack(cells: pd.DataFrame, step: float) -> Iterator[Tracks]:
    """By cut-off of links, in steps."""
    from laptrack import LapTrack

    frames = [part.index.to_numpy() for _, part in cells.groupby("frame")]
    places = [cells.loc[rows, ["y_um", "x_um"]].to_numpy() for rows in frames]
    for cut in (1.8, 2.5, 3.5):
        tracker = LapTrack(
            cutoff=(cut * step) ** 2,
            gap_closing_cutoff=(cut * step) ** 2,
            gap_closing_max_frame_count=2,
            splitting_cutoff=SISTERS_UM**2,
        )
        links = [(frames[s][i], frames[t][j]) for (s, i), (t, j) in tracker.predict(places).edges]
        yield f"cut-off {cut:g} steps", tracks_of(links, len(cells))


def trackpy(cells: pd.DataFrame, step: float) -> Iterator[Tracks]:
    """By search range, in steps, made less where cells are too dense for it."""
    import trackpy as peer

    peer.quiet()
    plain = cells.rename(columns={"y_um": "y", "x_um": "x"})[["frame", "y", "x"]]
    plain["row"] = np.arange(len(plain))
    for reach in (0.5, 1.0, 1.5, 2.0):
        try:
            linked = peer.link(plain, reach * step, adaptive_stop=0.3 * step)
        except peer.SubnetOversizeException:
            continue
        found = linked[["row", "particle"]].rename(columns={"particle": "track"})
        yield f"range {reach:g} steps", found.assign(parent=np.nan)


def btrack(cells: pd.DataFrame, step: float) -> Iterator[Tracks]:
    """By search radius, in steps; noise of its motion is a step, the rest is that of its cell model."""
    import btrack as peer
    from btrack.btypes import PyTrackObject

    spots = []
    for row, (frame, y, x) in enumerate(cells[["frame", "y_um", "x_um"]].to_numpy()):
        spots.append(PyTrackObject.from_dict({"ID": row, "t": int(frame), "x": x, "y": y, "z": 0.0}))
    high = cells[["x_um", "y_um"]].max() + 1.0
    for reach in (2.0, 3.5, 5.0):
        with peer.BayesianTracker(verbose=False) as tracker:
            tracker.configure(btrack_settings(step))
            tracker.max_search_radius = reach * step
            tracker.append(spots)
            tracker.volume = ((-1.0, high["x_um"]), (-1.0, high["y_um"]), (-1.0, 1.0))
            tracker.track(step_size=100)
            tracker.optimise(options={"tm_lim": OPTIMISER_MS})
            rows = [
                (row, t.ID, t.parent if t.parent != t.ID else np.nan)
                for t in tracker.tracks
                for row in t.refs
                if row >= 0
            ]
        found = pd.DataFrame(rows, columns=["row", "track", "parent"]).drop_duplicates("row")
        yield f"radius {reach:g} steps", found


def btrack_settings(step: float) -> dict:
    """Constant velocity, with noise of such a step, and hypotheses of cells that divide."""
    one = np.eye(3)
    velocity = np.block([[one, one], [0 * one, one]])
    seen = np.hstack([one, 0 * one])
    return {
        "motion_model": {
            "name": "cells", "dt": 1.0, "measurements": 3, "states": 6, "accuracy": 7.5,
            "prob_not_assign": 0.001, "max_lost": 5, "A": velocity.tolist(), "H": seen.tolist(),
            "P": (150.0 * np.diag([0.1] * 3 + [1.0] * 3)).tolist(),
            "G": (step * np.array([[0.5, 0.5, 0.5, 1.0, 1.0, 1.0]])).tolist(), "R": (5.0 * one).tolist(),
        },
        "hypothesis_model": {
            "name": "cells", "hypotheses": ["P_FP", "P_init", "P_term", "P_link", "P_branch", "P_dead"],
            "lambda_time": 5.0, "lambda_dist": 3.0, "lambda_link": 10.0, "lambda_branch": 50.0, "eta": 1e-10,
            "theta_dist": 20.0, "theta_time": 5.0, "dist_thresh": SISTERS_UM, "time_thresh": 2.0,
            "apop_thresh": 5, "segmentation_miss_rate": 0.1, "apoptosis_rate": 0.001, "relax": True,
        },
    }  # fmt: skip


def tracks_of(links: list[tuple[int, int]], n: int) -> pd.DataFrame:
    """Tracks of links from row to row, in order of time; who has two after it is a mother."""
    source, sink = np.array(links, dtype=np.int64).reshape(-1, 2).T
    mothers = np.bincount(source, minlength=n)[source] > 1
    before, parent = np.full(n, -1), np.full(n, -1)
    before[sink[~mothers]] = source[~mothers]
    parent[sink[mothers]] = source[mothers]
    track = np.arange(n)
    for row in range(n):
        if before[row] >= 0:
            track[row] = track[before[row]]
    from_ = np.where(parent >= 0, track[parent], -1)[track].astype(float)
    return pd.DataFrame({"row": np.arange(n), "track": track, "parent": np.where(from_ >= 0, from_, np.nan)})


if __name__ == "__main__":
    name, told, source_file, out_file = sys.argv[1:]
    detections = pd.read_csv(source_file)
    tried = [
        found.assign(setting=setting)
        for setting, found in {"laptrack": laptrack, "trackpy": trackpy, "btrack": btrack}[name](
            detections, float(told)
        )
    ]
    pd.concat(tried, ignore_index=True).to_csv(out_file, index=False)
