"""The manifests in deploy/: they can be read, and what they say is understood by this version."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from jsonschema import Draft202012Validator

from osqual.cli.main import cli
from osqual.settings import ENVIRONMENT

DEPLOY = Path(__file__).parents[2] / "deploy"
SCHEMAS = Path(__file__).parents[1] / "fixtures" / "deploy"
KINDS = {
    "StatefulSet": "#/$defs/io.k8s.api.apps.v1.StatefulSet",
    "Service": "#/$defs/io.k8s.api.core.v1.Service",
}


def understood(arguments: list[str]) -> None:
    command = cli.get_command(click.Context(cli), arguments[0])
    assert command is not None
    command.make_context(arguments[0], arguments[1:]).close()


def known(names: list[str]) -> None:
    own = {name for name in names if name.startswith("OSQUAL_")}
    assert own
    assert own <= set(ENVIRONMENT)


def complaints(schema: dict[str, Any], document: Any) -> list[str]:
    """What a schema says of a document, with the place."""
    Draft202012Validator.check_schema(schema)
    errors = Draft202012Validator(schema).iter_errors(document)
    return [f"{error.json_path}: {error.message}" for error in errors]


def kubernetes_complaints(document: Any) -> list[str]:
    definitions = json.loads((SCHEMAS / "kubernetes-1.34.json").read_text())
    return complaints({**definitions, "$ref": KINDS[document["kind"]]}, document)


def test_compose_is_as_the_specification_has_it() -> None:
    schema = json.loads((SCHEMAS / "compose-spec.json").read_text())
    document = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert complaints(schema, document) == []
    document["services"]["worker-1"]["comand"] = []
    assert "comand" in "".join(complaints(schema, document)), "a slip would be seen"


def test_the_manifest_is_as_kubernetes_has_it() -> None:
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    assert [complaint for each in documents for complaint in kubernetes_complaints(each)] == []


@pytest.mark.parametrize(
    ("place", "value"),
    [("replicas", "two"), ("terminationGracePeriod", 900), ("selector", "app")],
)
def test_a_slip_in_the_manifest_would_be_seen(place: str, value: Any) -> None:
    (document, *_) = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    spoilt = deepcopy(document)
    spoilt["spec"][place] = value
    assert kubernetes_complaints(spoilt)


def test_compose() -> None:
    document: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    workers = {name: each for name, each in document["services"].items() if name != "db"}
    assert len(workers) == 2
    for name, worker in workers.items():
        understood(worker["command"])
        known(list(worker["environment"]))
        assert worker["hostname"] == name, "it could not go on with its own runs"
        assert f"{name}:/var/lib/osqual" in worker["volumes"]
    named = {volume.partition(":")[0] for each in workers.values() for volume in each["volumes"]}
    assert {name for name in named if "$" not in name} <= set(document["volumes"])


def test_kubernetes() -> None:
    text = (DEPLOY / "kubernetes.yaml").read_text()
    kinds = {document["kind"]: document for document in yaml.safe_load_all(text)}
    assert set(kinds) == {"StatefulSet", "Service"}
    spec = kinds["StatefulSet"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    understood(container["args"])
    known([each["name"] for each in container["env"]])
    volumes = {each["name"] for each in pod["volumes"]}
    volumes |= {each["metadata"]["name"] for each in spec["volumeClaimTemplates"]}
    assert {each["name"] for each in container["volumeMounts"]} == volumes
    assert spec["template"]["metadata"]["labels"] == spec["selector"]["matchLabels"]
    assert kinds["Service"]["metadata"]["name"] == spec["serviceName"]


def test_the_image_has_the_programs_that_setup_installs() -> None:
    image = (DEPLOY / "Dockerfile").read_text()
    for package in ("qemu-system-x86", "qemu-utils", "mmdebstrap", "openssh-client", "fdisk"):
        assert package in image
    directories = [line for line in image.split() if line.startswith("OSQUAL_")]
    known([line.partition("=")[0] for line in directories])
