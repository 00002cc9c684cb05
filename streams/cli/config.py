"""``driftline config``: check and show the configuration."""

import io
from pathlib import Path
from typing import Annotated, Any

import typer
from ruamel.yaml import YAML

from streams.cli import output
from streams.config.durations import format_duration
from streams.config.errors import ConfigError
from streams.config.load import load
from streams.config.pipeline import TOPICS
from streams.config.schema import model_schema, pipeline_schema, schema_text
from streams.config.settings import LoadedModel, Settings

app = typer.Typer(no_args_is_help=True)

File = Annotated[
    Path, typer.Argument(metavar="FILE", envvar="DRIFTLINE_CONFIG", help="The pipeline's file.")
]


@app.command()
def check(file: File = output.DEFAULT_CONFIG, *, json: output.JsonOption = False) -> None:
    """Say everything that is wrong, or what will run."""
    try:
        settings = load(file)
    except ConfigError as error:
        if json:
            problems = [problem.as_dict() for problem in error.problems]
            output.json_out({"ok": False, "problems": problems})
        for problem in error.problems:
            output.note(str(problem))
        count = len(error.problems)
        output.note(f"{count} {'problem' if count == 1 else 'problems'}")
        raise typer.Exit(output.USAGE) from None
    if json:
        output.json_out({"ok": True, "problems": [], **summary(settings)})
    else:
        _print_summary(file, settings)


@app.command()
def show(file: File = output.DEFAULT_CONFIG, *, json: output.JsonOption = False) -> None:
    """Print what is in effect: files, environment and defaults together, secrets masked."""
    effective = load(file).dump_public()
    if json:
        output.json_out(effective)
        return
    text = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment] # annotated by None
    yaml.dump(effective, text)
    output.line(text.getvalue().rstrip())


@app.command()
def schema(
    *, model: Annotated[bool, typer.Option("--model", help="Of a model's file.")] = False
) -> None:
    """Print the JSON Schema of the pipeline's file, or of a model's."""
    output.line(schema_text(model_schema() if model else pipeline_schema()).rstrip())


def summary(settings: Settings) -> dict[str, Any]:
    """Describe what will run, as plain JSON values."""
    pipeline = settings.pipeline
    return {
        "application": pipeline.application,
        "bootstrap_servers": pipeline.kafka.bootstrap_servers,
        "security_protocol": pipeline.kafka.security_protocol,
        "tick": format_duration(settings.tick_ms),
        "topics": [
            {
                "topic": logical,
                "name": pipeline.topics.name(logical),
                "partitions": pipeline.topics.partitions_of(logical),
            }
            for logical in TOPICS
        ],
        "models": [_model(model) for model in settings.models.values()],
    }


def _model(model: LoadedModel) -> dict[str, Any]:
    config = model.config
    read = [name for segment in config.segments for name in segment.by]
    read += [config.distinct] if config.distinct is not None else []
    return {
        "model": config.model,
        "task": config.task,
        "features": list(config.features),
        "segments": [segment.name for segment in config.segments],
        "tags": list(dict.fromkeys(name for name in read if name not in config.features)),
        "windows": [window.name for window in model.windows],
        "detectors": [f"{detector.name} on {detector.on}" for detector in config.detectors],
        "rules": [rule.name for rule in config.alerts],
        "label_horizon": format_duration(config.label_horizon),
        "reference": None if config.reference is None else str(config.reference),
    }


def _print_summary(file: Path, settings: Settings) -> None:
    facts = summary(settings)
    output.line(f"{file} is fine.")
    output.line(f"  application  {facts['application']}")
    output.line(f"  brokers      {facts['bootstrap_servers']} ({facts['security_protocol']})")
    output.line(f"  tick         {facts['tick']}")
    output.line()
    output.table(
        ("topic", "name", "partitions"),
        [(topic["topic"], topic["name"], topic["partitions"]) for topic in facts["topics"]],
    )
    for model in facts["models"]:
        output.line()
        output.line(
            f"model {model['model']}: {model['task']}, waits {model['label_horizon']} for truth"
        )
        for key in ("features", "segments", "tags", "windows", "detectors", "rules"):
            output.line(f"  {key:<9}  {', '.join(model[key]) or 'none'}")
        output.line(f"  reference  {model['reference'] or 'none'}")
