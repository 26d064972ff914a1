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
            "timepoint from which on it was not seen: it fell below detection since last_seen_d; missing "
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

_SAMPLE = (
    Column("subject", "str", "", "statistical unit", False),
    Column("treatment", "str", "", "what the subject was given", False),
    Column("timepoint", "float", "d", "when", False),
    Column("site", "str", "", "where; primary if the cells do not tell", False),
)

LESIONS = Table(
    "lesions",
    ("image_id", "lesion"),
    (
        Column("image_id", "str", "", "image"),
        Column("lesion", "int", "", "number in the image, from 1, the largest first"),
        *_SAMPLE,
        Column("n_cells", "int", "cells", "cells of the lesion"),
        Column("n_assigned", "int", "cells", "of which have a clone", False),
        Column("z_um", "float", "um", "mean of its cells' centres, depth", False),
        Column("y_um", "float", "um", "mean of its cells' centres, down", False),
        Column("x_um", "float", "um", "mean of its cells' centres, right", False),
        Column("area_um2", "float", "um²", "area of its cells together (2-D)", False),
        Column("volume_um3", "float", "um³", "volume of its cells together (3-D)", False),
        Column("extent_um", "float", "um", "largest distance of two of its cells in the plane", False),
        Column(
            "distance_um",
            "float",
            "um",
            "largest step from cell to cell within it; missing with masks",
            False,
        ),
        Column("touches_border", "bool", "", "a cell of it is cut by the edge of the image", False),
        Column("clone_by", "str", "", "column that told the clones: colour_clone or clone", False),
        Column("clone", "int", "", "its largest clone; missing where no cell is assigned", False),
        Column(
            "second_clone", "int", "", "its second clone by cells, told or mistaken; may be missing", False
        ),
        Column("second_cells", "int", "cells", "cells of the second clone", False),
        Column("n_colours", "int", "", "clones it holds beyond what misassignment gives", False),
        Column(
            "p_value",
            "float",
            "",
            "of the lesion being of one clone: that misassigned and stray cells look so mixed",
            False,
        ),
        Column("q_value", "float", "", "the same, false discovery rate over all lesions", False),
        Column(
            "power",
            "float",
            "",
            "how often a second clone of the share minor_share would be found in so many assigned cells",
            False,
        ),
        Column("clonality", "str", "", "monoclonal, polyclonal or undecided (too few cells to tell)", False),
        Column(
            "segregation",
            "float",
            "",
            "of a polyclonal lesion: 0 its clones are mixed as by chance, 1 they touch nowhere",
            False,
        ),
        Column("neighbour_um", "float", "um", "distance to the centre of the nearest other lesion", False),
    ),
)

LESION_CLONES = Table(
    "lesion clones",
    ("image_id", "lesion", "clone"),
    (
        Column("image_id", "str", "", "image"),
        Column("lesion", "int", "", "number in the image"),
        Column("clone", "int", "", "clone"),
        Column("n_cells", "int", "cells", "cells of the lesion called for this clone"),
        Column("fraction", "float", "", "share of the clone among the lesion's assigned cells"),
        Column("fraction_low", "float", "", "lower end of the interval from counting"),
        Column("fraction_high", "float", "", "upper end of the interval from counting"),
        Column(
            "p_value",
            "float",
            "",
            "that its cells are misassigned ones of the lesion's largest clone, or strays; missing for the "
            "largest",
        ),
        Column("present", "bool", "", "part of the lesion by its call"),
    ),
)

_SUBJECT = (
    Column("subject", "str", "", "statistical unit"),
    Column("treatment", "str", "", "what the subject was given"),
)

SEEDING = Table(
    "seeding",
    ("subject", "treatment", "timepoint", "site"),
    (
        *_SUBJECT,
        Column("timepoint", "float", "d", "when"),
        Column("site", "str", "", "where the lesions are"),
        Column("n_images", "int", "", "images looked at; missing without a sample sheet"),
        Column("n_lesions", "int", "", "lesions, zero included"),
        Column("n_told", "int", "", "lesions large enough to tell two clones"),
        Column("n_polyclonal", "int", "", "of which are polyclonal"),
        Column("n_cells", "int", "cells", "cells of all lesions"),
        Column("same_colour", "float", "", "chance that two founders from the source share a colour"),
        Column("polyclonal_share", "float", "", "share of polyclonal lesions among those that tell"),
        Column("polyclonal_low", "float", "", "lower end of its interval from counting"),
        Column("polyclonal_high", "float", "", "upper end of its interval from counting"),
        Column(
            "polyclonal_corrected",
            "float",
            "",
            "share of lesions of two founders, those of one colour included; at most 1",
        ),
        Column("polyclonal_corrected_low", "float", "", "lower end of its interval from counting"),
        Column("polyclonal_corrected_high", "float", "", "upper end of its interval from counting"),
        Column("founders", "float", "", "mean number of founders of a lesion"),
        Column("founders_low", "float", "", "lower end of its interval"),
        Column("founders_high", "float", "", "upper end of its interval; infinite where the colours run out"),
    ),
)

SEEDING_EFFECTS = Table(
    "seeding effects",
    ("outcome", "site", "timepoint", "treatment"),
    (
        Column(
            "outcome",
            "str",
            "",
            "n_lesions (effect: log2 ratio), polyclonal_share or founders (effect: difference)",
        ),
        Column("site", "str", "", "where the lesions are"),
        Column("timepoint", "float", "d", "when"),
        Column("treatment", "str", "", "arm that is compared with the control"),
        Column("mean", "float", "", "of the subjects of the arm"),
        Column("control_mean", "float", "", "of the subjects of the control arm"),
        Column("effect", "float", "", "log2 ratio (n_lesions) or difference of the means"),
        Column("low", "float", "", "lower end of the interval"),
        Column("high", "float", "", "upper end of the interval"),
        Column("p_value", "float", "", "quasi-Poisson (n_lesions) or Welch t over subjects"),
        Column(
            "p_permutation", "float", "", "exchange of subjects between the arms: another view of the same"
        ),
        Column("q_value", "float", "", "of p_value, false discovery rate over the table"),
        Column("n_subjects", "int", "", "subjects of the arm"),
        Column("n_control", "int", "", "subjects of the control arm"),
    ),
)

SITE_OVERLAP = Table(
    "site overlap",
    ("subject", "treatment", "site", "other_site"),
    (
        *_SUBJECT,
        Column("site", "str", "", "where"),
        Column("other_site", "str", "", "where else"),
        Column("timepoint", "float", "d", "of the site: the last with cells"),
        Column("other_timepoint", "float", "d", "of the other site"),
        Column("n_cells", "int", "cells", "assigned cells at the site"),
        Column("other_cells", "int", "cells", "assigned cells at the other site"),
        Column("n_clones", "int", "", "clones at the site"),
        Column("other_clones", "int", "", "clones at the other site"),
        Column("n_shared", "int", "", "clones at both"),
        Column(
            "n_shared_unique",
            "int",
            "",
            "of which are one founder as likely as not; missing without a clone table",
        ),
        Column("jaccard", "float", "", "shared clones over all clones"),
        Column("jaccard_expected", "float", "", "if both sites had the same shares, and so few cells"),
        Column("jaccard_low", "float", "", "lower end of the range of 95 % of such draws"),
        Column("jaccard_high", "float", "", "upper end of that range"),
        Column("morisita_horn", "float", "", "likeness of the shares: 0 no clone in common, 1 alike"),
        Column("morisita_horn_expected", "float", "", "if both sites had the same shares"),
        Column("morisita_horn_low", "float", "", "lower end of the range of such draws"),
        Column("morisita_horn_high", "float", "", "upper end of that range"),
        Column("n_absent", "int", "", "clones of the site that the other lacks"),
        Column(
            "n_absent_expected",
            "float",
            "",
            "clones that the other would lack by the number of its cells alone",
        ),
        Column(
            "detectable_share",
            "float",
            "",
            "share that a clone must have at the other site to be seen there in 95 % of cases",
        ),
        Column("p_value", "float", "", "that both sites have the same shares, from Morisita-Horn"),
    ),
)

SITE_CLONES = Table(
    "site clones",
    ("subject", "treatment", "timepoint", "site", "clone"),
    (
        *_SUBJECT,
        Column("timepoint", "float", "d", "of the site: the last with cells"),
        Column("site", "str", "", "where"),
        Column("clone", "label", "", "clone"),
        Column("n_cells", "int", "cells", "its cells at the site"),
        Column("source_cells", "int", "cells", "its cells at the source"),
        Column(
            "log2_ratio", "float", "log2", "of its share at the site to that at the source, half a cell added"
        ),
        Column("low", "float", "log2", "lower end of the interval from counting"),
        Column("high", "float", "log2", "upper end of the interval from counting"),
        Column("p_value", "float", "", "that counting alone makes the shares so different (Fisher, mid-p)"),
        Column("q_value", "float", "", "false discovery rate over the clones of this subject and site"),
        Column(
            "expected_founders",
            "float",
            "",
            "founders of this colour: the cells here may be another's",
            False,
        ),
    ),
)

SITE_ENRICHMENT = Table(
    "site enrichment",
    ("site", "clone", "treatment", "against"),
    (
        Column("site", "str", "", "where"),
        Column("clone", "label", "", "clone"),
        Column("treatment", "str", "", "arm"),
        Column(
            "against", "str", "", "what the arm is compared with: the source, or the control arm's enrichment"
        ),
        Column("effect", "float", "log2", "mean over subjects of its log2 ratio less that of the mean clone"),
        Column("low", "float", "log2", "lower end of the interval"),
        Column("high", "float", "log2", "upper end of the interval"),
        Column("p_value", "float", "", "t over subjects; Welch t between arms"),
        Column("q_value", "float", "", "false discovery rate over the clones of a site, arm and comparison"),
        Column("n_subjects", "int", "", "subjects of the arm with cells at both sites"),
    ),
)
