"""Clonality of lesions, founders and seeding against planted truth.

    python benchmarks/bench_lesions.py [false] [colours] [power] [founders] [arms] [time] [picture]

false: monoclonal lesions called polyclonal, misassignment planted in confusable pairs; the share of p <= .05
and of calls, for the confusion matrix and for probabilities alone, beside "any second colour" and "5 % or
more of a second colour", as papers count.
colours: the same end to end: colours are simulated, clones found and called by `rgbtrack.clones`.
power: polyclonal lesions found, against share of the second clone and size, beside the limit: the binomial
test of one who knows the two clones and the confusion matrix, with the same strays.
founders: estimated against true founders of a lesion, and cover of the intervals.
arms: false rate and power of the comparison of arms.
time: seconds for a million cells.
picture: the picture of docs/lesions.md.
"""

import argparse
import time
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
from bench_clones import SETTINGS, Setting, plant
from scipy.stats import binom

from rgbtrack.clones import assign_clones, fit_clones, rehearse_calls
from rgbtrack.dynamics import (
    LesionParams,
    call_clonality,
    clone_sizes,
    compare_seeding,
    count_founders,
    find_lesions,
)
from rgbtrack.plot import clone_colours, lesion_map
from rgbtrack.simulate import SimulateParams, simulate_founders, simulate_lesions


def scored(scene, confusion):
    """Calls of the lesions of the lungs, beside what was planted."""
    cells, lesions = find_lesions(scene.cells)
    called = call_clonality(cells, lesions[lesions["site"] == "lung"], confusion=confusion).lesions
    inside = cells[cells["lesion"].notna()]
    true = inside.groupby(["image_id", "lesion"])["true_lesion"].first().reset_index()
    truth = scene.lesions[["image_id", "true_lesion", "n_founders", "n_colours"]]
    truth = truth.rename(columns={"n_colours": "true_colours"})
    return called.merge(true, on=["image_id", "lesion"]).merge(truth, on=["image_id", "true_lesion"])


def false_rates(seeds):
    """Print the share of monoclonal lesions called polyclonal."""
    print("| errors | lesions | caller | p <= .05 | called | undecided | any second colour | 5 % or more |")
    print("|---|---|---|---|---|---|---|---|")
    for low, high in ((0.02, 0.05), (0.02, 0.15), (0.1, 0.15)):
        for mean, what in ((0.0, "all of one founder"), (0.7, "a third polyclonal")):
            for caller in ("matrix", "probabilities"):
                parts = []
                for seed in range(seeds):
                    scene = simulate_lesions(
                        lesions=(15, 15), founders=(mean, mean), misassignment=(low, high), seed=seed
                    )
                    parts.append(scored(scene, scene.confusion if caller == "matrix" else None))
                of = pd.concat(parts)
                of = of[of["true_colours"] == 1]
                share = of["second_cells"] / of["n_assigned"]
                print(
                    f"| {low:.0%}-{high:.0%} | {what}, {len(of):,} | {caller} "
                    f"| {(of['p_value'] <= 0.05).mean():.1%} "
                    f"| {(of['clonality'] == 'polyclonal').mean():.1%} "
                    f"| {(of['clonality'] == 'undecided').mean():.0%} | {(share > 0).mean():.0%} "
                    f"| {(share >= 0.05).mean():.0%} |",
                    flush=True,
                )


def seeded(rng, setting, seed, polyclonal):
    """Cells with colours, in lesions; the primary tumour among them as lesion 0."""
    table, truth, _ = plant(setting, seed)
    own = {clone: np.flatnonzero(truth == clone) for clone in range(1, setting.n_clones + 1)}
    share = np.array([len(rows) for rows in own.values()], dtype=float)
    share /= share.sum()
    lesion = np.zeros(len(table), dtype=int)
    colours = []
    for number in range(1, 81):
        size = max(4, round(25 * rng.lognormal(0, 0.8)))
        who = rng.choice(setting.n_clones, 2 if rng.random() < polyclonal else 1, p=share, replace=False) + 1
        part = rng.dirichlet(np.full(len(who), 3.0))
        for clone, n in zip(who, rng.multinomial(size, part), strict=True):
            free = own[clone][lesion[own[clone]] == 0]
            lesion[rng.permutation(free)[:n]] = number
        colours.append(len(who))
    place = np.column_stack([200.0 * lesion, np.zeros(len(lesion))]) + rng.normal(0, 5, (len(lesion), 2))
    table.attrs.clear()
    return table.assign(y_um=place[:, 0], x_um=place[:, 1], planted=lesion), np.array(colours)


def end_to_end(seeds):
    """Print false rate and power with clones found and called by colour."""
    print("| setting | caller | misassigned cells | lesions | p <= .05 | called | found of polyclonal |")
    print("|---|---|---|---|---|---|---|")
    drifting = replace(SETTINGS["medium"], n_clones=15, n_cells=8000, drift=0.1, n_images=8)
    for name, setting in (
        ("easy, 15 clones", replace(SETTINGS["easy"], n_cells=8000)),
        ("medium, 40 clones", SETTINGS["medium"]),
        ("15 clones, gains drift", drifting),
        ("hard, 30 clones", Setting(30, 8000, 0.18)),
    ):
        rows = {"matrix": [], "probabilities": []}
        wrong = []
        for seed in range(seeds):
            rng = np.random.default_rng([seed, 9])
            table, colours = seeded(rng, setting, 500 + seed, 0.3)
            model = fit_clones(table)
            cells = assign_clones(table, model=model)
            rehearsed = rehearse_calls(table, model).dropna(subset=["true_clone", "clone"])
            confusion = pd.crosstab(rehearsed["true_clone"], rehearsed["clone"])
            numbers = np.union1d(cells["clone"].dropna().unique().astype(int), confusion.index)
            confusion = confusion.reindex(index=numbers, columns=numbers, fill_value=0)
            for clone in numbers[(confusion.sum(axis=1) == 0).to_numpy()]:
                confusion.loc[clone, clone] = 1
            cells = cells.assign(lesion=cells["planted"].astype("Int64").replace(0, pd.NA))
            cells, lesions = find_lesions(cells.assign(image_id="a"), masks="lesion")
            order = cells.dropna(subset=["lesion"]).groupby("lesion")["planted"].first()
            wrong.append(1 - rehearsed["clone"].eq(rehearsed["true_clone"]).mean())
            for caller in rows:
                called = call_clonality(cells, lesions, confusion=confusion if caller == "matrix" else None)
                true = colours[order.loc[called.lesions["lesion"]].to_numpy() - 1]
                rows[caller].append(called.lesions.assign(true=true))
        for caller, parts in rows.items():
            of = pd.concat(parts)
            one, two = of[of["true"] == 1], of[of["true"] > 1]
            print(
                f"| {name} | {caller} | {np.mean(wrong):.1%} | {len(one)}, {len(two)} "
                f"| {(one['p_value'] <= 0.05).mean():.1%} | {(one['clonality'] == 'polyclonal').mean():.1%} "
                f"| {(two['clonality'] == 'polyclonal').mean():.0%} |",
                flush=True,
            )


def limit(inside, who, e, share):
    """Whether each lesion is found by who knows its two clones and the matrix; strays as here."""
    strays = LesionParams().contamination
    found = []
    for number, (first, second) in enumerate(who):
        clone = inside.loc[inside["lesion"] == number + 1, "clone"]
        p = []
        for i, j in ((first, second), (second, first)):
            count = (clone == j).sum()
            rate = e[i - 1, j - 1] + strays * share[j - 1]
            p.append(binom.sf(count - 1, len(clone), rate) if count > 1 else 1.0)
        found.append(max(p) <= 0.05)
    return found


def power(seeds):
    """Print the share of polyclonal lesions found at p <= .05, for the second clone's share and sizes."""
    print("| second clone | caller | 6 cells | 10 | 20 | 40 | 80 |")
    print("|---|---|---|---|---|---|---|")
    sizes = (6, 10, 20, 40, 80)
    for minor in (0.1, 0.2, 0.3, 0.5):
        found = {name: [] for name in ("the limit", "matrix", "probabilities")}
        for n in sizes:
            hits = {name: [] for name in found}
            for seed in range(seeds):
                scene = simulate_lesions(lesions=(0.01, 0.01), primary_cells=3000, seed=seed)
                cells = scene.cells[scene.cells["site"] == "primary"].reset_index(drop=True)
                rng = np.random.default_rng([seed, n, 3])
                n_lesions, k = 60, len(scene.confusion)
                own = {c: np.flatnonzero(cells["true_clone"] == c) for c in range(1, k + 1)}
                share = np.array([len(rows) for rows in own.values()], dtype=float)
                share /= share.sum()
                picked, who = [], []
                for number in range(n_lesions):
                    first, second = rng.choice(k, 2, p=share, replace=False) + 1
                    m = rng.binomial(n, minor)
                    rows = np.concatenate([rng.choice(own[second], m), rng.choice(own[first], n - m)])
                    picked.append(cells.iloc[rows].assign(lesion=number + 1))
                    who.append((first, second))
                inside = pd.concat(picked).assign(image_id="x", lesion=lambda t: t["lesion"].astype("Int64"))
                every = pd.concat([cells.assign(lesion=pd.NA), inside], ignore_index=True)
                every["lesion"] = every["lesion"].astype("Int64")
                lesions = inside.groupby(["image_id", "lesion"]).size().rename("n_cells").reset_index()
                for name, matrix in (("matrix", scene.confusion), ("probabilities", None)):
                    called = call_clonality(every, lesions, confusion=matrix).lesions
                    hits[name].append((called["p_value"] <= 0.05).mean())
                hits["the limit"].append(np.mean(limit(inside, who, scene.confusion.to_numpy(), share)))
            for name, shares in hits.items():
                found[name].append(np.mean(shares))
        for name, shares in found.items():
            print(f"| {minor:.0%} | {name} | " + " | ".join(f"{s:.0%}" for s in shares) + " |", flush=True)


def counted(scene):
    """Seeding of each subject, clonality by the confusion matrix."""
    cells, lesions = find_lesions(scene.cells)
    told = call_clonality(cells, lesions[lesions["site"] == "lung"], confusion=scene.confusion)
    sizes = clone_sizes(scene.cells, samples=scene.samples)
    return count_founders(told.lesions, sizes, samples=scene.samples)


def founders(seeds):
    """Print true and estimated founders per lesion, and polyclonal shares, over animals."""
    print(
        "| clones, mean drawn | founders, true | estimated | colours, true | cover of the 95 % interval ",
        end="",
    )
    print("| polyclonal, true | seen | corrected |\n" + "|---" * 8 + "|")
    for n_clones in (6, 12, 30):
        for mean in (0.5, 1.5):
            rows = []
            for seed in range(seeds):
                scene = simulate_lesions(
                    n_clones=n_clones, lesions=(20, 20), founders=(mean, mean), median_cells=40, seed=seed
                )
                true = scene.lesions.assign(poly=scene.lesions["n_founders"] > 1).groupby("subject")
                true = true[["n_founders", "n_colours", "poly"]].mean()
                rows.append(counted(scene).set_index("subject").join(true))
            of = pd.concat(rows).dropna(subset=["founders"])
            truth = mean / -np.expm1(-mean)
            cover = ((of["founders_low"] <= truth) & (truth <= of["founders_high"])).mean()
            print(
                f"| {n_clones}, {mean} | {truth:.2f} | {of['founders'].mean():.2f} "
                f"| {of['n_colours'].mean():.2f} "
                f"| {cover:.0%} | {of['poly'].mean():.0%} | {of['polyclonal_share'].mean():.0%} "
                f"| {of['polyclonal_corrected'].mean():.0%} |",
                flush=True,
            )


def arms(seeds):
    """Print how often arms differ at p <= .05, without and with a planted effect, 5 animals an arm."""
    print("| planted | n_lesions | permutation | polyclonal_share | permutation | founders | permutation |")
    print("|---|---|---|---|---|---|---|")
    for what, lesions, mean in (
        ("nothing", (8, 8), (0.7, 0.7)),
        ("lesions x 2, founders 1.4 to 2.3", (8, 16), (0.7, 2.0)),
    ):
        parts = []
        for seed in range(seeds):
            scene = simulate_lesions(subjects=5, lesions=lesions, founders=mean, seed=seed)
            parts.append(compare_seeding(counted(scene), control="vehicle"))
        of = pd.concat(parts).groupby("outcome")
        shares = [
            f"{(of.get_group(name)[p] <= 0.05).mean():.1%}"
            for name in ("n_lesions", "polyclonal_share", "founders")
            for p in ("p_value", "p_permutation")
        ]
        print(f"| {what} | " + " | ".join(shares) + " |", flush=True)


def timed(_):
    """Print seconds for a million cells in two and three dimensions."""
    print("| cells | lesions | find_lesions | call_clonality |")
    print("|---|---|---|---|")
    rng = np.random.default_rng(0)
    for d in (2, 3):
        n = 1_000_000
        centre = rng.uniform(0, 2e4 if d == 2 else 2500, (n // 40, d))
        number = rng.integers(len(centre), size=n)
        place = centre[number] + rng.normal(0, 20, (n, d))
        clone = np.where(rng.random(n) < 0.9, number % 60, rng.integers(60, size=n)) + 1
        cells = pd.DataFrame({"image_id": "a", "frame": 0, "y_um": place[:, 0], "x_um": place[:, 1]})
        cells = cells.assign(clone=clone, clone_probability=rng.beta(20, 1, n))
        cells = cells.assign(z_um=place[:, 2]) if d == 3 else cells
        find_lesions(cells[:100], LesionParams(distance_um=10))
        begun = time.perf_counter()
        found = find_lesions(cells, LesionParams(distance_um=10))
        middle = time.perf_counter()
        call_clonality(*found)
        print(
            f"| 1e6, {d}-D | {len(found.lesions):,} | {middle - begun:.1f} s "
            f"| {time.perf_counter() - middle:.1f} s |",
            flush=True,
        )


def picture(_):
    """Draw the lesions of a simulated lung for the documentation."""
    scene = simulate_lesions(n_clones=14, subjects=2, lesions=(11, 11), founders=(1.0, 1.0), seed=8)
    cells, lesions = find_lesions(scene.cells)
    told = call_clonality(cells, lesions[lesions["site"] == "lung"], confusion=scene.confusion)
    founders = simulate_founders(SimulateParams(n_clones=14), np.random.default_rng(3))
    colours = clone_colours(founders.drop(columns="share"))
    figure = lesion_map(cells[cells["image_id"] == "m1_lung"], told.lesions, colours)
    figure.savefig("docs/images/lesions.png", dpi=80)


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["false", "power"])
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    for what in options.what:
        tasks = {"false": false_rates, "colours": end_to_end, "power": power}
        tasks |= {"founders": founders, "arms": arms, "time": timed, "picture": picture}
        tasks[what](options.seeds)


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
