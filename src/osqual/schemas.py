"""JSON Schema of each file that people write or osqual publishes, for editors and checkers."""

from collections.abc import Callable, Mapping
from typing import Any

from osqual.model import PublishPoint

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = Mapping[str, Any]


def _settings() -> Schema:
    from osqual.settings import Settings

    schema = Settings.model_json_schema()
    schema["properties"].pop("sources", None)  # filled in by reading, never written
    return {**schema, "title": "osqual.yaml", "description": "Settings of a catalogue."}


def _product() -> Schema:
    from osqual.products.definition import definition_schema

    return {**definition_schema(), "title": "product.yaml"}


def _base_images() -> Schema:
    return {
        "title": "base_images.json",
        "description": "Region to base image: an AMI, or on QEMU (region `local`) "
        "`debian:SUITE`, `https://….qcow2#sha256=…` or a file. The nearest file wins as a whole.",
        "type": "object",
        "additionalProperties": {"type": "string", "minLength": 1, "pattern": "\\S"},
    }


def _publish_and_test() -> Schema:
    return {
        "title": "publish_and_test_config.yaml",
        "description": "When to publish, and which tests to run. A missing file means all "
        "defaults.",
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {
            "publish_dcos_images_after": {
                "description": "The point of the pipeline that must be passed to publish; `never` "
                "tests the published image and builds none.",
                "enum": [*(point.value for point in PublishPoint), None],
                "default": PublishPoint.DCOS_INSTALLATION.value,
            },
            "tests_to_run": {
                "description": "Added to the integration tests' command: files, or one -k.",
                "type": ["array", "null"],
                "items": {"type": "string"},
            },
            "run_integration_tests": {"type": ["boolean", "null"], "default": True},
            "run_framework_tests": {"type": ["boolean", "null"], "default": True},
        },
    }


def _mutes() -> Schema:
    from osqual.mutes.entries import mutes_schema

    return {
        **mutes_schema(),
        "title": "mutes.yaml",
        "description": "Tests whose failure does not count. Every file from the root down to a "
        "configuration applies.",
    }


def _template() -> Schema:
    typed = {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"type": "string"}},
    }
    return {
        "title": "packer.json",
        "description": "A Packer JSON template. Packer checks the options of each builder and "
        "provisioner; osqual needs this shape.",
        "type": "object",
        "required": ["builders"],
        "properties": {
            "variables": {"type": "object"},
            "builders": {"type": "array", "minItems": 1, "items": typed},
            "provisioners": {"type": "array", "items": typed},
            "post-processors": {"type": "array"},
        },
    }


def _policy() -> Schema:
    from osqual.attest.policy import Policy

    return {**Policy.model_json_schema(), "title": "policy.yaml"}


def _qualification() -> Schema:
    from osqual.publish.record import record_schema

    return {**record_schema(), "title": "qualification.json"}


SCHEMAS: Mapping[str, tuple[str, Callable[[], Schema]]] = {
    "base-images": ("base_images.json", _base_images),
    "mutes": ("mutes.yaml", _mutes),
    "osqual": ("osqual.yaml", _settings),
    "policy": ("policy.yaml", _policy),
    "product": ("product.yaml", _product),
    "publish-and-test": ("publish_and_test_config.yaml", _publish_and_test),
    "qualification": ("qualification.json", _qualification),
    "template": ("packer.json", _template),
}
"""Name -> the file that it describes, by its usual name, and its schema."""


def schema_of(name: str) -> Schema:
    """The schema of one of `SCHEMAS`."""
    return {"$schema": DIALECT, **SCHEMAS[name][1]()}
