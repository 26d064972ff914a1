"""How daughters lie and look, and how often cells divide: learnt from all possible divisions at once."""

from dataclasses import replace
from typing import Any

import numpy as np

from rgbtrack.link.divisions import Candidates, candidate_colours
from rgbtrack.link.movie import Bools, Floats, Ints, Movie
from rgbtrack.link.scales import Scales, other_cells, size_shifts, tail_of

APART = (0.08, 0.15, 0.3, 0.6, 1.0)
"""Sd of the distance of sisters along an axis that learning starts from, shares of the spacing."""
PRIOR = 5.0
"""Divisions that what is assumed of them counts for."""
RARE = 40.0
"""Divisions, one in a hundred cells and frames, that what is assumed of their rate counts for."""
TRIES, ROUNDS = 5, 12  # of expectation and maximisation, from each start and from the best
MOST = 4000  # candidates that are learnt from


class Beginnings:
    """Cells that follow none, each a daughter in one of the candidates or none, with rates of both.

    A cell that appears, and one that is seen once only, have a rate by zone. The likelihood is that of a
    Poisson process of beginnings, taken as independent of each other. ``every`` is one where all beginnings
    are here, k where each k-th is.
    """

    def __init__(
        self,
        movie: Movie,
        scales: Scales,
        heads: Ints,
        lone: Bools,
        zone: Ints,
        found: Candidates,
        states: tuple[Any, Any],
        every: int = 1,
    ) -> None:
        self.movie, self.scales, self.found, self.states = movie, scales, found, states
        self.all = (zone, lone)
        self.heads, self.every = heads, every
        self.exposed = np.bincount(zone[movie.frame > 0], minlength=4) / every
        self.tail = tail_of(10.0, 1.0, movie.place.shape[1])
        seen_once = lone[found.one] * scales.leave[zone[found.one]]
        seen_once += found.pair * lone[found.two] * scales.leave[zone[found.two]]
        self.fixed = seen_once + found.missed * scales.rates[0]
        # cells are counted among those that matter here
        self.who, at = np.unique(np.concatenate([heads, found.one, found.two]), return_inverse=True)
        self.head, self.one, self.two = np.split(at.ravel(), np.cumsum([len(heads), len(found.one)]))
        self.mother = np.unique(found.mother, return_inverse=True)[1].ravel()
        self.zone, self.lone = zone[self.who], lone[self.who]
        self.alike = other_cells(movie, scales.flicker, scales.noise, self.who)

    def part(self) -> "Beginnings":
        """Enough of them to learn from."""
        every = -(-len(self.found.one) // MOST)
        if every < 2:
            return self
        chosen = self.heads[::every]
        zone, lone = self.all
        found = self.found.of(np.isin(self.found.one, chosen))
        return Beginnings(self.movie, self.scales, chosen, lone, zone, found, self.states, every)

    def places(self, room: Floats) -> tuple[Floats, Floats]:
        """Log density of the places of each candidate's daughters, and what they say of ``room``, (n, 2)."""
        dims = self.movie.place.shape[1]
        walked = self.found.late * self.scales.step**2
        total, squares = np.zeros(len(walked)), []
        for variance, extra, square in (
            (room[0], walked / 4, self.found.middle[:, int(room[2])]),
            (room[1], walked, self.found.apart),
        ):
            both = variance + extra
            q = square / both
            total += self.tail[2] - 0.5 * dims * np.log(both) - 0.5 * (10 + dims) * np.log1p(q / 10)
            share = variance / both
            squares.append(share**2 * (10 + dims) / (10 + q) * square / dims + share * extra)
        return total, np.column_stack(squares)

    def colours(self, shift: Floats, spread: Floats) -> Floats:
        """Log density of the features of each candidate's daughters."""
        found = self.found
        return candidate_colours(
            found.mother, found.one, found.two, *self.states, self.movie.gain, spread, shift,
            self.scales.tails[1],
        )  # fmt: skip

    def alone(self, scales: Scales) -> Floats:
        """Log density of each cell that matters as a beginning that is no birth."""
        rate = np.where(self.lone, scales.ghost[self.zone], scales.appear[self.zone])
        return np.asarray(rate + self.alike)

    def odds(self, scales: Scales, places: Floats, colours: Floats) -> Floats:
        """Log odds of each candidate against beginnings that are no births."""
        alone = self.alone(scales)
        # without a birth, the mother goes on as the other or ends, and all the rest appear
        ends = self.scales.leave[self.all[0][self.found.mother]] + alone[self.two]
        rest = np.where(self.found.pair, ends, np.logaddexp(ends, self.found.on))
        return np.asarray(scales.rates[1] + self.fixed + places + colours - alone[self.one] - rest)

    def shares(self, odds: Floats) -> tuple[Floats, Floats, float]:
        """Probability of each candidate, of each beginning to be no birth, and the log likelihood's part."""
        n = len(self.who)
        w = np.exp(np.minimum(odds, 200.0))
        of_mother = np.bincount(self.mother, w)
        of_head = np.bincount(self.one, w, n) + np.bincount(self.two, w, n)
        most = np.maximum(np.maximum(of_head[self.one], of_head[self.two]), of_mother[self.mother])
        p = w / (1 + most)
        born = np.bincount(self.one, p, n) + np.bincount(self.two, p * self.found.pair, n)
        return p, 1 - np.minimum(born, 1.0), float(np.log1p(of_head[self.head]).sum())

    def rates(self, p: Floats, foreign: Floats, scales: Scales) -> Scales:
        """Scales with the rates of dividing, appearing and of being seen once that follow."""
        rates = scales.rates.copy()
        rates[1] = np.log((p.sum() + RARE) / (len(self.all[0]) / self.every + RARE / 0.01))
        density = self.movie.density
        appear, ghost = (
            np.log((np.bincount(self.zone[who], foreign[who], 4) + 0.5) / (self.exposed + 50.0) * density)
            for who in (self.head, self.head[self.lone[self.head]])
        )
        return replace(scales, rates=rates, appear=appear, ghost=ghost)

    def room(self, p: Floats, squares: Floats, start: Floats) -> Floats:
        """Variances of places that follow."""
        least = (0.02 * self.movie.spacing) ** 2
        new = (PRIOR * start[:2] + p @ squares) / (PRIOR + p.sum())
        return np.append(np.maximum(new, least), start[2])

    def looks(self, p: Floats, scales: Scales, shift: Floats, spread: Floats) -> tuple[Floats, Floats]:
        """Change of features at a division, and its covariance, that follow."""
        sure = np.flatnonzero(p > 0.02)
        m = len(scales.shift)
        if not len(sure) or not m:
            return shift, spread
        past, future = self.states
        nu, scale = scales.tails[1][:2]
        mother = np.tile(self.found.mother[sure], 2)
        child = np.concatenate([self.found.one[sure], self.found.two[sure]])
        g = self.movie.gain[child]
        S = scale * scales.spread
        noise = scale * (past[4][mother] + future[4][child])
        d = future[3][child] - past[3][mother] - g * scales.shift
        inverse = np.linalg.inv(g[:, :, None] * S * g[:, None, :] + noise)
        gain = (S * g[:, None, :]) @ inverse  # (n, m, m)
        w = np.tile(p[sure], 2) * (nu + m) / (nu + np.einsum("na,nab,nb->n", d, inverse, d))
        z = np.einsum("nab,nb->na", gain, d)
        left = S - gain @ (g[:, :, None] * S)
        new = scales.shift + (2 * PRIOR * (shift - scales.shift) + w @ z) / (2 * PRIOR + w.sum())
        z = z + scales.shift - new
        scatter = np.einsum("n,na,nb->ab", w, z, z) + np.einsum("n,nab->ab", np.tile(p[sure], 2), left)
        # what is taken from a cell's flicker is given back by the scale of the tails
        total = (2 * PRIOR * scale * spread + scatter) / (2 * PRIOR + 2 * p[sure].sum()) / scale
        values, vectors = np.linalg.eigh(total)
        return new, (vectors * np.maximum(values, 1e-4)) @ vectors.T


def learn_births(begin: Beginnings, spread: Floats) -> Scales:
    """Scales with what is learnt of divisions by expectation and maximisation, from the best of some starts.

    Parameters
    ----------
    begin
        Beginnings and candidates.
    spread
        Covariance of the change of features at a division, before anything is seen.
    """
    begin = begin.part()
    movie, scales = begin.movie, begin.scales
    if not len(begin.found.one):
        _, foreign, _ = begin.shares(np.zeros(0))
        return begin.rates(np.zeros(0), foreign, scales)
    best, best_at = -np.inf, (scales, scales.room, scales.shift)
    for shift in size_shifts(movie):
        colours = begin.colours(shift, spread)
        for apart in (*(share * movie.spacing for share in APART), np.sqrt(2) * scales.step):
            for momentum in (0.0, 1.0):
                start = np.array([0.5 * scales.step**2, apart**2, momentum])
                now, room = scales, start
                for turn in range(TRIES):
                    places, squares = begin.places(room)
                    p, foreign, extra = begin.shares(begin.odds(now, places, colours))
                    if turn < TRIES - 1:
                        now = begin.rates(p, foreign, now)
                        room = begin.room(p, squares, start)
                total = extra + float(begin.alone(now)[begin.head].sum())
                if total > best + 1e-6:
                    best, best_at = total, (replace(now, room=room), start, shift)
    scales, start, shift = best_at
    scales = replace(scales, shift=shift, spread=spread)
    for _ in range(ROUNDS):
        places, squares = begin.places(scales.room)
        p, foreign, _ = begin.shares(begin.odds(scales, places, begin.colours(scales.shift, scales.spread)))
        room = begin.room(p, squares, start)
        new_shift, new_spread = begin.looks(p, scales, shift, spread)
        scales = replace(begin.rates(p, foreign, scales), room=room, shift=new_shift, spread=new_spread)
    return scales


def birth_odds(begin: Beginnings, scales: Scales) -> tuple[Floats, Floats]:
    """Log odds of each candidate, and of each detection the probability that it is no daughter."""
    foreign = np.ones(len(begin.movie.frame))
    if not len(begin.found.one):
        return np.zeros(0), foreign
    places, _ = begin.places(scales.room)
    odds = begin.odds(scales, places, begin.colours(scales.shift, scales.spread))
    foreign[begin.who] = begin.shares(odds)[1]
    return odds, foreign
