"""Experiment: experiment.toml and its sample sheet, read and checked as a whole."""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import exists, isfile
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field, StrictInt, StrictStr, ValidationError, field_validator

from rgbtrack.clones import ClonesParams, founder_rows, load_clones
from rgbtrack.correct import CorrectParams
from rgbtrack.dynamics import DynamicsParams
from rgbtrack.errors import DataError, ParamError
from rgbtrack.files import KnownBy, read_bleed_through
from rgbtrack.link import LinkParams, MotilityParams
from rgbtrack.params import Params, key_of
from rgbtrack.pipeline.questions import question_problems
from rgbtrack.pipeline.sheet import KNOWN, OURS, marker_columns, nearest, read_sheet
from rgbtrack.report import ReportParams
from rgbtrack.segment import SegmentParams
from rgbtrack.signature import SignatureParams
from rgbtrack.stack import NUCLEUS
from rgbtrack.tables import SAMPLES


class ExperimentParams(Params):
    """What the experiment is."""

    name: str = Field("experiment", description="name of the experiment, for the report")
    samples: str = Field("samples.csv", description="sample sheet, path relative to experiment.toml")
    control: str = Field(description="the reference treatment, as in the sample sheet")
    known_by: KnownBy = Field(
        "content",
        description="how an image is known to be the one that was worked on before: by its bytes; or, faster "
        "where there are terabytes, by its size and time of change",
    )


class ChannelsParams(Params):
    """Which channel of the images carries what."""

    markers: dict[str, StrictStr | StrictInt] = Field(
        description="marker to channel name or 0-based index", min_length=2, max_length=7
    )
    nucleus: StrictStr | StrictInt | None = Field(
        None, description="channel of a nuclear stain, name or 0-based index"
    )

    @field_validator("markers")
    @classmethod
    def _check_markers(cls, markers: dict[str, str | int]) -> dict[str, str | int]:
        problems = []
        for name in markers:
            others = [other for other in markers if other != name]
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                plain = re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_") or "red"
                problems.append(
                    f"marker name {name!r} is not lower-case letters, digits and _: write {plain!r}"
                )
            elif name in {*KNOWN, *OURS, NUCLEUS, *marker_columns(others)}:
                problems.append(
                    f"marker name {name!r} is the name of a table column: give another, such as 'red'"
                )
        wanted = [str(channel).casefold() for channel in markers.values()]
        problems += [
            f"channel {channel!r} is given to {wanted.count(channel)} markers: give each its own"
            for channel in dict.fromkeys(wanted)
            if wanted.count(channel) > 1
        ]
        problems += [
            f"marker {name!r} has channel {channel!r}: give a channel name or an index from 0"
            for name, channel in markers.items()
            if channel == "" or (isinstance(channel, int) and channel < 0)
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return markers


STAGES: dict[str, type[Params]] = {
    "correct": CorrectParams,
    "segment": SegmentParams,
    "signature": SignatureParams,
    "clones": ClonesParams,
    "link": LinkParams,
    "motility": MotilityParams,
    "dynamics": DynamicsParams,
    "report": ReportParams,
}
"""Sections of experiment.toml that hold a stage's settings."""
SECTIONS: dict[str, type[Params]] = {"experiment": ExperimentParams, "channels": ChannelsParams, **STAGES}


@dataclass(frozen=True, eq=False)
class Experiment:
    """An experiment, checked: settings and sample sheet.

    Attributes
    ----------
    path, folder
        Of experiment.toml.
    name, control
        Name of the experiment and its reference treatment.
    channels, correct, segment, signature, clones, link, motility, dynamics, report
        Settings, one per section.
    samples
        The sample sheet, one row per image, defaults filled in.
    images, labels, tracks
        Files of each row of `samples`, absolute.
    """

    path: Path
    name: str
    control: str
    channels: ChannelsParams
    correct: CorrectParams
    segment: SegmentParams
    signature: SignatureParams
    clones: ClonesParams
    link: LinkParams
    motility: MotilityParams
    dynamics: DynamicsParams
    report: ReportParams
    samples: pd.DataFrame
    images: tuple[tuple[Path, ...], ...]
    labels: tuple[Path | None, ...]
    tracks: tuple[Path | None, ...]
    samples_file: str = "samples.csv"
    known_by: KnownBy = "content"

    @property
    def folder(self) -> Path:
        """The folder that paths in experiment.toml are relative to."""
        return self.path.parent

    def read_bleed_through(self) -> pd.DataFrame | None:
        """Bleed-through matrix of a file by channel name, rows detectors, columns proteins; None for none."""
        return _matrix(self.folder, self.correct, self.channels)

    def reading(self, i: int) -> dict[str, Any]:
        """How `read_stack` is to read the image of a row: its scene, and what overrides the file."""
        row = self.samples.iloc[i]
        given = {name: row.get(name) for name in OVERRIDES}
        return {name: None if pd.isna(value) or value == "" else value for name, value in given.items()}

    def sheet_columns(self) -> pd.DataFrame:
        """Columns of the sample sheet that every cell carries."""
        carried = {"image_id", "subject", "treatment", "timepoint", "site", "batch"}
        not_carried = [column.name for column in SAMPLES.columns if column.name not in carried]
        return self.samples.drop(columns=not_carried, errors="ignore")

    def configuration(self) -> dict[str, Any]:
        """All settings, defaults included, as plain values."""
        head = {
            "name": self.name,
            "samples": self.samples_file,
            "control": self.control,
            "known_by": self.known_by,
        }
        rest = {
            name: getattr(self, name).model_dump(mode="json") for name in SECTIONS if name != "experiment"
        }
        return {"experiment": head, **rest}


def read_experiment(path: str | Path, instead: Mapping[str, Mapping[str, Any]] | None = None) -> Experiment:
    """Read experiment.toml and its sample sheet, and check both.

    Parameters
    ----------
    path
        experiment.toml, or the folder that holds it.
    instead
        Sections that stand in for those of the file, to try settings before they are saved.

    Returns
    -------
    experiment
        Everything a run needs; images are not opened.

    Raises
    ------
    ParamError
        All mistakes at once, one line each.
    """
    path = Path(path)
    path = path / "experiment.toml" if path.is_dir() else path
    content = {**_read_toml(path), **(instead or {})}
    problems: list[str] = []
    for section in content:
        if section not in SECTIONS:
            problems.append(f"{path.name}: unknown section [{section}]: {nearest(section, list(SECTIONS))}")
    sections: dict[str, Any] = {}
    for section, model in SECTIONS.items():
        try:
            sections[section] = _validate(path.name, section, model, content.get(section, {}))
        except ParamError as error:
            problems += error.problems
    channels = sections.get("channels")
    if channels is not None and channels.nucleus is not None:
        taken = {str(channel).casefold(): marker for marker, channel in channels.markers.items()}
        if str(channels.nucleus).casefold() in taken:
            marker = taken[str(channels.nucleus).casefold()]
            problems.append(
                f"{path.name}: [channels] nucleus is {channels.nucleus!r}, the channel of marker "
                f"{marker!r}: give another"
            )
    head = content.get("experiment", {})
    file = head.get("samples", "samples.csv") if isinstance(head, Mapping) else "samples.csv"
    sheet = read_sheet(path.parent / str(file), list(channels.markers) if channels else [])
    problems += sheet.problems
    if "experiment" in sections and len(sheet.samples):
        treatments = sorted({name for name in sheet.samples["treatment"] if name})
        control = sections["experiment"].control
        if treatments and control not in treatments:
            problems.append(
                f"{path.name}: [experiment] control {control!r} is not a treatment of the sheet "
                f"({', '.join(map(repr, treatments))}): {nearest(control, treatments)}"
            )
        other = sections["motility"].control if "motility" in sections else None
        if treatments and other is not None and other not in treatments:
            problems.append(
                f"{path.name}: [motility] control {other!r} is not a treatment of the sheet "
                f"({', '.join(map(repr, treatments))}): {nearest(other, treatments)}"
            )
    if "dynamics" in sections and len(sheet.samples):
        problems += question_problems(path.name, sections["dynamics"], sheet.samples)
    if "clones" in sections and len(sheet.samples):
        try:
            founder_rows(sheet.samples, sections["clones"].founders)
        except DataError as error:
            problems.append(f"{path.name}: [clones] {error}")
    if "correct" in sections and channels is not None:
        problems += _file_problems(path, sections["correct"], channels)
    if "clones" in sections and sections["clones"].model is not None:
        file = path.parent / sections["clones"].model
        sections["clones"] = sections["clones"].model_copy(update={"model": str(file.absolute())})
        problems += _model_problems(path, file, sections["clones"], channels)
    if problems:
        raise ParamError(*problems)
    head = sections.pop("experiment")
    model = sections["segment"].model
    if model is not None and exists(path.parent / model):  # a path, relative to experiment.toml
        absolute = str((path.parent / model).absolute())
        sections["segment"] = sections["segment"].model_copy(update={"model": absolute})
    return Experiment(
        path=path,
        name=head.name,
        control=head.control,
        samples=sheet.samples,
        images=sheet.images,
        labels=sheet.labels,
        tracks=sheet.tracks,
        samples_file=head.samples,
        known_by=head.known_by,
        **sections,
    )


def _read_toml(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise ParamError(f"{path}: no such file: 'rgbtrack init FOLDER' writes one for a folder of images")
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ParamError(f"{path}: not UTF-8 text (byte {error.start}): save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        curly = any(mark in path.read_text(encoding="utf-8-sig") for mark in "“”„‘’")
        hint = (
            ': it has curly quotes, as a word processor makes them: write straight ones, "' if curly else ""
        )
        raise ParamError(f"{path}: not valid TOML: {error}{hint}") from error
    except RecursionError as error:
        raise ParamError(f"{path}: not valid TOML: its values lie too deep in one another") from error
    except OSError as error:
        raise ParamError(f"{path}: cannot be read: {error.strerror}") from error


def _validate(file: str, section: str, model: type[Params], content: Any) -> Params:
    """One section as its settings, or what is wrong with it in plain words."""
    if not isinstance(content, Mapping):
        raise ParamError(
            f"{file}: {section} = {content!r} should be a section, [{section}], with its keys below"
        )
    if not content and any(field.is_required() for field in model.model_fields.values()):
        keys = [name for name, field in model.model_fields.items() if field.is_required()]
        raise ParamError(f"{file}: section [{section}] is missing: it holds {', '.join(keys)}")
    try:
        # by way of JSON: strict about types, yet lists may stand for tuples
        return model.model_validate_json(json.dumps(dict(content), default=str), strict=True)
    except ValidationError as error:
        lines = (_explain(file, section, model, problem) for problem in error.errors())
        raise ParamError(*dict.fromkeys(line for several in lines for line in several)) from error


OVERRIDES = ("scene", "axes", "pixel_size_um", "z_step_um", "frame_interval_h")
"""Columns of the sheet that tell how an image is read."""
_TABLES = {
    "founders": "a table { timepoint = 0 }",
    "control": 'a table { treatment = "vehicle", inhibitor = "none" }',
}
"""How settings that are tables are written."""


def _explain(file: str, section: str, model: type[Params], problem: Any) -> list[str]:
    where = key_of(problem["loc"])
    for part in where[:-1]:  # a section within the section
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        if isinstance(inner, type) and issubclass(inner, Params):
            section, model, where = f"{section}.{part}", inner, where[1:]
    at = f"{file}: [{section}] {'.'.join(where)}"
    kind, found, context = problem["type"], problem.get("input"), problem.get("ctx", {})
    fields = list(model.model_fields)
    if kind == "extra_forbidden":
        return [f"{file}: [{section}] unknown key {where[0]!r}: {nearest(where[0], fields)}"]
    if kind == "missing":
        return [f"{at} is missing: {model.model_fields[where[0]].description}"]
    if kind == "value_error":
        return [f"{file}: [{section}] {line}" for line in str(context["error"]).splitlines()]
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        return [f"{at} is {found!r}, but should be {context['expected']}: {nearest(str(found), choices)}"]
    if kind in ("too_short", "too_long"):
        return [f"{at} holds {len(found)}: give 2 to 7 markers"]
    wants = {
        "float_type": "a number",
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "string_type": "text in quotes",
        "bool_type": "true or false",
        "dict_type": _TABLES.get(where[0] if where else "", "a table { red = ..., green = ... }"),
        "model_type": f"a section of its own, [{section}.{'.'.join(where)}]",
        "finite_number": "a finite number",
        "greater_than": f"more than {context.get('gt')}",
        "greater_than_equal": f"{context.get('ge')} or more",
        "less_than": f"less than {context.get('lt')}",
        "less_than_equal": f"{context.get('le')} or less",
    }
    if where and where[0] in ("nucleus", "markers") and kind in ("string_type", "int_type"):
        return [f"{at} is {found!r}: give a channel name in quotes or a 0-based index"]
    return [
        f"{at} is {found!r}: give {wants[kind]}" if kind in wants else f"{at} is {found!r}: {problem['msg']}"
    ]


def _file_problems(path: Path, correct: CorrectParams, channels: ChannelsParams) -> list[str]:
    problems = []
    try:
        _matrix(path.parent, correct, channels)
    except DataError as error:
        problems += [f"{path.name}: [correct] bleed_through: {line}" for line in str(error).splitlines()]
    for key in ("flat_field", "dark_field"):
        file = getattr(correct, key)
        if file not in ("auto", "none") and not isfile(path.parent / file):
            problems.append(f"{path.name}: [correct] {key}: {path.parent / file}: no such file")
    if isinstance(correct.attenuation_um, dict):
        problems += [
            f"{path.name}: [correct] attenuation_um names {marker!r}, no marker: "
            f"{nearest(marker, list(channels.markers))}"
            for marker in correct.attenuation_um
            if marker not in channels.markers
        ]
    return problems


def _model_problems(
    path: Path, file: Path, clones: ClonesParams, channels: ChannelsParams | None
) -> list[str]:
    at = f"{path.name}: [clones] model"
    others = [name for name in ("palette", "method") if name in clones.model_fields_set]
    if others:
        return [f"{at} brings its own clones: take out {' and '.join(others)}, which would say otherwise"]
    try:
        known = load_clones(file).markers
    except DataError as error:
        return [f"{at}: {error}"]
    if channels is not None and set(known) != set(channels.markers):
        return [
            f"{at}: {file.name} holds clones of {', '.join(known)}; the markers here are "
            f"{', '.join(channels.markers)}: name them as there"
        ]
    return []


def _matrix(folder: Path, correct: CorrectParams, channels: ChannelsParams) -> pd.DataFrame | None:
    if correct.bleed_through in ("auto", "none"):
        return None
    matrix = read_bleed_through(folder / correct.bleed_through, channels.markers)
    names = pd.Index([str(channel) for channel in channels.markers.values()])
    return matrix.set_axis(names, axis=0).set_axis(names, axis=1)


def check_section(section: str, content: Mapping[str, Any]) -> Params:
    """Settings of one section, from what it would hold.

    Raises
    ------
    ParamError
        All that is wrong with it, at once, in the words of a file's mistakes.
    """
    return _validate("experiment.toml", section, SECTIONS[section], content)


def read_sections(path: str | Path, names: Sequence[str]) -> dict[str, Any]:
    """Read some sections of experiment.toml only: neither sample sheet nor images need be there yet.

    Parameters
    ----------
    path
        experiment.toml, or the folder that holds it.
    names
        Sections wanted; see `SECTIONS`.

    Raises
    ------
    ParamError
        All that is wrong with these sections, at once.
    """
    path = Path(path)
    path = path / "experiment.toml" if path.is_dir() else path
    content = _read_toml(path)
    sections: dict[str, Any] = {}
    problems: list[str] = []
    for name in names:
        try:
            sections[name] = _validate(path.name, name, SECTIONS[name], content.get(name, {}))
        except ParamError as error:
            problems += error.problems
    if problems:
        raise ParamError(*problems)
    return sections
