"""What was done, as a paper would say it: built from the settings of the run."""

from rgbtrack.report.results import Results
from rgbtrack.report.words import count


def methods_text(results: Results) -> list[str]:
    """Paragraphs to paste into the methods section of a paper, for what this run did."""
    return [text for text in (_images(results), _clones(results), _dynamics(results)) if text]


def _images(results: Results) -> str:
    markers = results.setting("channels", "markers") or {}
    named = ", ".join(f"{channel} ({marker})" for marker, channel in markers.items())
    corrections = sorted(
        {row["correction"] for row in results.run.get("corrections") or [] if row.get("applied")}
    )
    leaks = (
        "bleed-through" in corrections or (results.setting("correct", "bleed_through") or "none") != "none"
    )
    errors = (
        "photon noise, read noise and background"
        if not leaks
        else "photon noise, read noise, background and bleed-through"
    )
    undone = f" Corrected were: {', '.join(corrections)}." if corrections else ""
    given = results.setting("segment", "method") or "rgbtrack"
    method = "" if given == "rgbtrack" else f" by {given}"
    return (
        f"{count(len(results.images), 'image')} with the markers {named} were analysed with rgbtrack "
        f"{results.run.get('version')}. Cells were segmented{method}, and the intensity of each marker was "
        f"measured with its standard error ({errors}).{undone}"
    )


def _clones(results: Results) -> str:
    if results.clones.empty:
        return ""
    settings = results.run.get("configuration", {}).get("clones") or {}
    least = settings.get("min_probability")
    sure = "" if least is None else f" with a probability of at least {least:g}"
    shared = "of each subject" if results.palette == "subject" else "shared by all subjects"
    return (
        f"Clones {shared} were found from the colours of {count(len(results.cells), 'cell')} without a set "
        "number, blind to treatment (mixture of rays through the origin, each cell with its own colour "
        f"covariance, detector gains fitted jointly; method {settings.get('method', 'ray')}, seed "
        f"{results.run.get('seed')}). Cells were assigned to the most probable clone{sure}: "
        f"{results.n_assigned} of {len(results.cells)}, in {count(len(results.clones), 'clone')}."
    )


def _dynamics(results: Results) -> str:
    texts = []
    if len(results.dynamics.get("response", ())):
        when = ", ".join(dict.fromkeys(results.dynamics["response"]["when"]))
        texts.append(
            f"Responses to treatment ({when}) were tested with the subject as the unit: log shares of all "
            "clones in one linear model, variances moderated over clones by empirical Bayes, effects "
            "relative to the majority of clones (biweight), false discovery rate by Benjamini and Hochberg; "
            "checked by a quasi-likelihood negative binomial model of counts. Heterogeneity of responses "
            "was tested by rotation."
        )
    if len(results.dynamics.get("growth_by_treatment", ())):
        kind = results.dynamics["growth_by_treatment"]["kind"].iloc[0]
        texts.append(
            f"Growth rates ({kind}) are slopes of log size over time, averaged over subjects with counting "
            "error and scatter between subjects."
        )
    if len(results.dynamics.get("diversity", ())):
        coverage = results.dynamics["diversity"]["common_coverage"].iloc[0]
        texts.append(
            f"Diversity is given as Hill numbers at a coverage of {100 * coverage:.1f} % (Chao and Jost "
            "2012), compared over subjects by t tests on logarithms; turnover as Morisita-Horn similarity "
            "against resampling."
        )
    return " ".join(texts)
