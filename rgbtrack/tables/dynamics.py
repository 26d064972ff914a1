"""Tables of clone sizes and of what follows from them."""

from rgbtrack.tables.table import Column, Table

CLONE_SIZES = Table(
    "clone sizes",
    ("clone", "subject", "treatment", "timepoint", "site"),
    (
        Column("clone", "label", "", "clone; any name in tables from elsewhere"),
        Column("subject", "str", "", "statistical unit"),
        Column("treatment", "str", "", "what the subject was given"),
        Column("timepoint", "float", "d", "when"),
        Column("site", "str", "", "where"),
        Column("n_cells", "int", "cells", "cells of the clone, zero included"),
        Column("fraction", "float", "", "share of the clone among the assigned cells of this sample"),
        Column("fraction_low", "float", "", "lower end of the 95 % interval from counting"),
        Column("fraction_high", "float", "", "upper end of the 95 % interval from counting"),
        Column("n_assigned", "int", "cells", "cells of the sample that have a clone", False),
        Column("n_sample_cells", "int", "cells", "cells of the sample, unassigned ones included", False),
        Column(
            "right_cells",
            "float",
            "cells",
            "of n_cells, how many are expected to descend from the clone's main founder: the sum of their "
            "clone_probability",
            False,
        ),
        Column(
            "expected_cells",
            "float",
            "cells",
            "cells of the clone among those counted, once those called for others, or for none, are given "
            "back; missing where most of its cells are called for others, or calls were not rehearsed",
            False,
        ),
        Column("expected_low", "float", "cells", "lower end of its 95 % interval, of misassignment", False),
        Column("expected_high", "float", "cells", "upper end of its 95 % interval, of misassignment", False),
        Column(
            "amount",
            "float",
            "cells, um² or um³",
            "cells of the clone, or their area or volume, as measure says",
            False,
        ),
        Column(
            "scale",
            "float",
            "",
            "cells of the whole sample for each one counted, from the totals of the sample sheet; missing "
            "where it tells none",
            False,
        ),
        Column("absolute_cells", "float", "cells", "cells of the clone in the whole sample", False),
        Column("absolute_low", "float", "cells", "lower end of its 95 % interval, from counting", False),
        Column("absolute_high", "float", "cells", "upper end of its 95 % interval, from counting", False),
    ),
)

_RATE = "relative: over the mean of the clones; absolute: of cell numbers"

GROWTH = Table(
    "growth",
    ("clone", "subject", "treatment", "site", "kind"),
    (
        Column("clone", "str", "", "clone"),
        Column("subject", "str", "", "statistical unit"),
        Column("treatment", "str", "", "what the subject was given"),
        Column("site", "str", "", "where"),
        Column("kind", "str", "", _RATE),
        Column(
            "rate_per_d",
            "float",
            "1/d",
            "growth rate: ln 2 over it is the doubling time; missing where the clone was never seen",
        ),
        Column("rate_low_per_d", "float", "1/d", "lower end of its 95 % interval"),
        Column("rate_high_per_d", "float", "1/d", "upper end of its 95 % interval"),
        Column("rate_se_per_d", "float", "1/d", "its standard error"),
        Column("first_d", "float", "d", "first timepoint"),
        Column("last_d", "float", "d", "last timepoint"),
        Column("n_timepoints", "int", "", "timepoints with cells of any clone"),
        Column("n_empty", "int", "", "timepoints at which the clone has no cell"),
        Column("n_cells", "int", "cells", "cells of the clone at all timepoints"),
        Column("in_reference", "bool", "", "one of the clones whose mean the others are compared with"),
    ),
)

GROWTH_BY_TREATMENT = Table(
    "growth by treatment",
    ("clone", "treatment", "site", "kind"),
    (
        Column("clone", "str", "", "clone"),
        Column("treatment", "str", "", "what the subjects were given"),
        Column("site", "str", "", "where"),
        Column("kind", "str", "", _RATE),
        Column(
            "design",
            "str",
            "",
            "within subjects: mean of their slopes; across subjects: slope over subjects that were seen once",
        ),
        Column("rate_per_d", "float", "1/d", "mean growth rate of the subjects"),
        Column("rate_low_per_d", "float", "1/d", "lower end of its 95 % interval"),
        Column("rate_high_per_d", "float", "1/d", "upper end of its 95 % interval"),
        Column("n_subjects", "int", "", "subjects that have cells of the clone"),
        Column(
            "between_sd",
            "float",
            "1/d",
            "scatter between subjects beyond counting, of all clones: of rates (across subjects: of ln size)",
        ),
        Column("difference_per_d", "float", "1/d", "rate less that of the control; missing for the control"),
        Column("difference_low_per_d", "float", "1/d", "lower end of its 95 % interval"),
        Column("difference_high_per_d", "float", "1/d", "upper end of its 95 % interval"),
        Column("p_value", "float", "", "of no difference"),
        Column("q_value", "float", "", "corrected over the clones of a treatment and site"),
    ),
)

CLONE_TIMES = Table(
    "clone times",
    ("clone", "subject", "treatment", "site"),
    (
        Column("clone", "str", "", "clone"),
        Column("subject", "str", "", "statistical unit"),
        Column("treatment", "str", "", "what the subject was given"),
        Column("site", "str", "", "where"),
        Column("first_seen_d", "float", "d", "first timepoint with a cell of the clone; missing: never"),
        Column("last_seen_d", "float", "d", "last timepoint with a cell of the clone"),
        Column(
            "lost_d",
            "float",
            "d",
            "timepoint from which on it was not seen again: it fell below detection since last_seen_d; missing "
            "where it was seen at the end",
        ),
        Column(
            "detection_limit",
            "float",
            "",
            "share that would have been seen with 95 % certainty at lost_d and after",
        ),
        Column(
            "dominant_d",
            "float",
            "d",
            "when it passed the share, between timepoints by logits; missing: never",
        ),
        Column("dominant_low_d", "float", "d", "last timepoint below the share; missing: dominant at once"),
        Column("dominant_high_d", "float", "d", "first timepoint at or above the share"),
    ),
)

CLONE_RESPONSE = Table(
    "clone response",
    ("clone", "treatment", "site"),
    (
        Column("clone", "label", "", "clone; any name in tables from elsewhere"),
        Column(
            "treatment",
            "str",
            "",
            "what is held against the control; of a factorial design also the other factors, and "
            "pairs (a : b), the effect beyond that of each alone",
        ),
        Column("site", "str", "", "where"),
        Column("when", "str", "", "day that was compared, or before and after an event"),
        Column(
            "effect",
            "float",
            "log2",
            "log2 fold change of the clone's share, relative to the majority of clones; 1 is twice as much",
        ),
        Column("low", "float", "log2", "lower end of its 95 % interval, the subject as the unit"),
        Column("high", "float", "log2", "upper end"),
        Column(
            "p_value", "float", "", "that a clone without response differs as much; missing if not tested"
        ),
        Column("q_value", "float", "", "false discovery rate over the clones of this treatment and site"),
        Column("n_subjects", "int", "subjects", "subjects behind it, those of the control included"),
        Column("n_cells", "float", "cells", "cells of the clone in the samples compared"),
        Column("second_effect", "float", "log2", "effect by the second model, of counts"),
        Column("second_p_value", "float", "", "p by the second model"),
        Column("models_agree", "bool", "", "both models say the same; missing if not tested"),
        Column("note", "str", "", "why the clone was not tested; blank if it was"),
    ),
)

HETEROGENEITY = Table(
    "response heterogeneity",
    ("treatment", "site"),
    (
        Column("treatment", "str", "", "what is held against the control"),
        Column("site", "str", "", "where"),
        Column("when", "str", "", "day that was compared, or before and after an event"),
        Column("statistic", "float", "", "mean squared t of the clones; about 1 if none responds"),
        Column("p_value", "float", "", "that clones which all respond alike differ as much"),
        Column("n_subjects", "int", "subjects", "subjects behind it, those of the control included"),
        Column("n_clones", "int", "clones", "clones tested"),
    ),
)

_SAMPLE = CLONE_SIZES.columns[1:5]

DIVERSITY = Table(
    "diversity",
    ("subject", "treatment", "timepoint", "site", "q"),
    (
        *_SAMPLE,
        Column("q", "int", "", "order of the Hill number: 0 clones, 1 common clones, 2 dominant clones"),
        Column("n_cells", "float", "cells", "cells of the sample"),
        Column("n_clones", "int", "", "clones seen"),
        Column("coverage", "float", "", "share of the population's cells that are of clones seen here"),
        Column("observed", "float", "clones", "Hill number of the sample"),
        Column("observed_low", "float", "clones", "lower end of its interval from counting"),
        Column("observed_high", "float", "clones", "upper end of its interval from counting"),
        Column("estimated", "float", "clones", "Hill number of the population; of order 0 a lower bound"),
        Column("estimated_low", "float", "clones", "lower end of its interval from counting"),
        Column("estimated_high", "float", "clones", "upper end of its interval from counting"),
        Column("common_coverage", "float", "", "coverage at which samples are compared"),
        Column("standardised", "float", "clones", "Hill number at that coverage; missing where out of reach"),
        Column("standardised_low", "float", "clones", "lower end of its interval from counting"),
        Column("standardised_high", "float", "clones", "upper end of its interval from counting"),
        Column(
            "depth", "str", "", "how it is reached: observed, rarefied (fewer cells), extrapolated (more)"
        ),
    ),
)

_EFFECT = (
    Column("p_value", "float", "", "of no difference from the control"),
    Column("q_value", "float", "", "the same, corrected for all rows of the table (Benjamini and Hochberg)"),
    Column("test", "str", "", "Welch t, or paired t where the same subjects had both; missing: not tested"),
)

DIVERSITY_BY_TREATMENT = Table(
    "diversity by treatment",
    ("treatment", "timepoint", "site", "q"),
    (
        *_SAMPLE[1:],
        Column("q", "int", "", "order of the Hill number"),
        Column("measure", "str", "", "standardised, observed or estimated"),
        Column("n_subjects", "int", "", "subjects in the mean"),
        Column("mean", "float", "clones", "geometric mean over subjects"),
        Column("low", "float", "clones", "lower end of its interval over subjects"),
        Column("high", "float", "clones", "upper end of its interval over subjects"),
        Column("fold", "float", "", "diversity, or its change since the baseline, over that of the control"),
        Column("fold_low", "float", "", "lower end of its interval over subjects"),
        Column("fold_high", "float", "", "upper end of its interval over subjects"),
        *_EFFECT,
    ),
)

RANK_ABUNDANCE = Table(
    "rank abundance",
    ("subject", "treatment", "timepoint", "site", "rank"),
    (
        *_SAMPLE,
        Column("rank", "int", "", "1 is the largest clone of the sample"),
        Column("clone", "int", "", "clone"),
        Column("n_cells", "float", "cells", "cells of the clone"),
        Column("fraction", "float", "", "share of the sample's assigned cells"),
        Column("cumulative", "float", "", "share of this clone and all larger ones"),
    ),
)

SIZE_SPECTRUM = Table(
    "size distribution",
    ("treatment", "timepoint", "site", "scaled_size"),
    (
        *_SAMPLE[1:],
        Column("scaled_size", "float", "", "cells of a clone over the mean of the clones seen in its sample"),
        Column("share_larger", "float", "", "share of clones larger than that, mean over subjects"),
        Column("share_low", "float", "", "lower end of its interval over subjects"),
        Column("share_high", "float", "", "upper end of its interval over subjects"),
        Column("neutral", "float", "", "the same for neutral growth from single cells"),
        Column("n_subjects", "int", "", "subjects in the mean"),
    ),
)

SIZE_DEPARTURE = Table(
    "departure of sizes",
    ("treatment", "timepoint", "site"),
    (
        *_SAMPLE[1:],
        Column("n_subjects", "int", "", "subjects with two clones or more, not all of one cell"),
        Column("n_clones", "int", "", "clones seen, those of each subject added up"),
        Column("inequality", "float", "", "mean log deviation of clone sizes, mean over subjects"),
        Column("neutral_inequality", "float", "", "the same for neutral growth from single cells"),
        Column("z", "float", "sd", "deviation from neutral, over its spread; positive is broader"),
        Column("p_value", "float", "", "of the neutral model with all its assumptions"),
        Column("shape", "str", "", "broader, narrower, or not told apart from neutral"),
    ),
)

_SIMILARITY = (
    Column("morisita_horn", "float", "", "similarity by large clones, 0 to 1"),
    Column("shared_fraction", "float", "", "sum of the lesser share of each clone, 0 to 1"),
    Column("jensen_shannon", "float", "", "one less the divergence of Jensen and Shannon in bits, 0 to 1"),
)

TURNOVER = Table(
    "turnover",
    ("subject", "treatment", "site", "timepoint", "next_timepoint"),
    (
        _SAMPLE[0],
        Column("treatment", "str", "", "what the subject was given at the later timepoint"),
        _SAMPLE[3],
        _SAMPLE[2],
        Column("next_timepoint", "float", "d", "the next timepoint with cells of this subject and site"),
        Column("n_cells", "float", "cells", "cells of the earlier sample"),
        Column("next_n_cells", "float", "cells", "cells of the later sample"),
        Column("n_kept", "int", "", "clones seen in both"),
        Column("n_gained", "int", "", "clones seen in the later only"),
        Column("gained_by_chance", "float", "", "the same if nothing changed but which cells were counted"),
        Column("gained_p_value", "float", "", "of so many or more, if nothing changed"),
        Column("n_lost", "int", "", "clones seen in the earlier only"),
        Column("lost_by_chance", "float", "", "the same if nothing changed but which cells were counted"),
        Column("lost_p_value", "float", "", "of so many or more, if nothing changed"),
        *_SIMILARITY,
        *(
            Column(f"{column.name}_by_chance", "float", "", "the same if nothing changed")
            for column in _SIMILARITY
        ),
        Column("p_value", "float", "", "of so large a change or a larger one, if nothing changed"),
    ),
)

TURNOVER_BY_TREATMENT = Table(
    "turnover by treatment",
    ("treatment", "timepoint", "next_timepoint", "site", "measure"),
    (
        *_SAMPLE[1:3],
        Column("next_timepoint", "float", "d", "the later timepoint"),
        _SAMPLE[3],
        Column("measure", "str", "", "morisita_horn, shared_fraction or jensen_shannon"),
        Column("n_subjects", "int", "", "subjects in the mean"),
        Column("mean", "float", "", "similarity, mean over subjects"),
        Column("low", "float", "", "lower end of its interval over subjects"),
        Column("high", "float", "", "upper end of its interval over subjects"),
        Column("difference", "float", "", "of the similarity from that of the control"),
        Column("difference_low", "float", "", "lower end of its interval over subjects"),
        Column("difference_high", "float", "", "upper end of its interval over subjects"),
        *_EFFECT,
    ),
)

SUBJECT_SIMILARITY = Table(
    "similarity of subjects",
    ("timepoint", "site", "subject", "treatment", "other_subject", "other_treatment"),
    (
        *_SAMPLE[2:],
        *_SAMPLE[:2],
        Column("other_subject", "str", "", "another subject"),
        Column("other_treatment", "str", "", "what that was given"),
        *_SIMILARITY,
    ),
)
