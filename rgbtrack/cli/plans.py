"""Commands without images: plan, simulate, doctor."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from rgbtrack.cli.program import USER, app
from rgbtrack.cli.voice import current, plain_records
from rgbtrack.errors import ParamError


@app.command(
    add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
)
def plan(context: typer.Context) -> None:
    """Tell how many founders, markers and animals an experiment needs."""
    # its options are the fields of PlanParams, which no other command should wait for
    inner = typer.Typer(add_completion=False)
    inner.command(help=plan.__doc__)(_with_options(_plan))
    typer.main.get_command(inner).main(context.args, prog_name="rgbtrack plan")


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each setting of a plan, and the folder to write."""
    from inspect import Parameter, Signature

    from rgbtrack.plan import PlanParams

    def called(out: Path | None, **settings: Any) -> None:
        command(out, settings)

    kinds: dict[str, Any] = {
        name: Annotated[field.annotation, typer.Option(_flag(name), help=field.description)]
        for name, field in PlanParams.model_fields.items()
    }
    kinds["out"] = Annotated[
        Path | None, typer.Option("--out", "-o", help="folder for the tables (CSV) and the figure")
    ]
    defaults = {name: field.default for name, field in PlanParams.model_fields.items()} | {"out": None}
    called.__annotations__ = kinds
    called.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Parameter(name, Parameter.KEYWORD_ONLY, default=defaults[name], annotation=kind)
            for name, kind in kinds.items()
        ]
    )
    return called


def _flag(setting: str) -> str:
    """Name of a setting of a plan on the command line."""
    return "--share" if setting == "share_transduced" else f"--{setting.removeprefix('n_').replace('_', '-')}"


def _mistake(problem: Any) -> str:
    """What pydantic found, in terms of the command line."""
    if not problem["loc"]:
        return str(problem["ctx"]["error"])
    said = problem["msg"].removeprefix("Input ")
    return f"{_flag(str(problem['loc'][0]))} is {problem['input']}: {said}"


def _plan(out: Path | None, settings: dict[str, Any]) -> None:
    from pydantic import ValidationError

    from rgbtrack.plan import PlanParams, plan_experiment, summary_tables

    try:
        params = PlanParams(**settings)
    except ValidationError as error:
        raise ParamError(*map(_mistake, error.errors())) from error
    planned = plan_experiment(params)
    if out is not None:
        from rgbtrack.files import write_table
        from rgbtrack.plot import plot_plan, save_figure

        for name, table in planned.tables.items():
            write_table(out / f"plan_{name}.csv", table)
        save_figure(plot_plan(planned), out, "plan")
    tables = {name: plain_records(table) for name, table in planned.tables.items()}
    current().tell(advice=list(planned.advice), tables=tables)
    for line in planned.advice:
        current().tell(f"- {line}")
    for title, table in summary_tables(planned).items():
        current().tell(f"\n{title}\n{table.to_string(index=False)}")
    if out is not None:
        current().tell(f"\nlook at {out / 'plan.png'}; its tables are beside it")


@app.command(epilog="Example: rgbtrack simulate trial --subjects 3 --seed 1")
def simulate(
    folder: Annotated[Path, typer.Argument(help="folder to make", show_default=False)],
    preset: Annotated[str, typer.Option(help="kind of images")] = "sample",
    subjects: Annotated[int, typer.Option(min=1, help="subjects per treatment")] = 2,
    seed: Annotated[int, typer.Option(help="same seed, same experiment")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="write into a folder that is not empty")
    ] = False,
) -> None:
    """Make an experiment with known truth, to try rgbtrack on and to plan with."""
    from rgbtrack.simulate import simulate_experiment

    simulate_experiment(folder, preset=preset, subjects=subjects, seed=seed, overwrite=overwrite)
    current().tell(f"{folder}: rgbtrack run {folder / 'experiment.toml'}", folder=folder)


@app.command(epilog="Example: rgbtrack doctor --json")
def doctor() -> None:
    """Tell what is installed and what works; quote it when you report a problem."""
    from rgbtrack.cli.doctor import examine

    found = examine()
    current().tell(found=[vars(one) for one in found])
    for one in found:
        current().tell(f"{one.state:8} {one.what}: {one.told}")
    broken = [one.what for one in found if one.state == "broken"]
    if broken:
        current().remark(f"error: {', '.join(broken)}: runs will fail until that is mended")
        raise typer.Exit(USER)
    current().tell("what a run needs is here and works")
