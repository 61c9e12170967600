"""in-toto statements about a run's images: how they were made (SLSA), and what tests gave. Pure."""

import hashlib
from collections.abc import Mapping
from typing import Any

STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
BUILD_TYPE = "https://github.com/osqual/osqual/blob/main/docs/reference/attestation.md#build-v1"
LOCAL = "local"
_RESULTS = {"qualified": "PASSED", "rejected": "FAILED", "inconclusive": "FAILED"}

Facts = Mapping[str, Mapping[str, Any]]
"""Image id to what else is known of it: account, snapshots."""


def statements(
    record: Mapping[str, Any], files: Mapping[str, str], facts: Facts
) -> list[dict[str, Any]]:
    """Provenance and test result of a record. `files`: what is published with it, by name."""
    subject = [subject_of(region, image, facts) for region, image in record["images"].items()]
    return [
        _statement(subject, PROVENANCE, _provenance(record)),
        _statement(subject, TEST_RESULT, _test_result(record, files)),
    ]


def subject_of(region: str, image: str, facts: Facts) -> dict[str, Any]:
    """An image as a subject.

    A disk image is named by the digest of its content. A cloud tells no content: there the digest
    is that of the image's name, region and id, and account and snapshots stand beside it.
    """
    if region == LOCAL and image.startswith("sha256:"):
        return {"name": image, "digest": {"sha256": image.removeprefix("sha256:")}}
    name = f"aws:{region}/{image}"
    return {
        "name": name,
        "digest": {"sha256": hashlib.sha256(name.encode()).hexdigest()},
        "annotations": {"region": region, "image": image, **facts.get(image, {})},
    }


def digest_of(text: str) -> str:
    """The sha256 of a published file."""
    return hashlib.sha256(text.encode()).hexdigest()


def _statement(
    subject: list[dict[str, Any]], kind: str, predicate: Mapping[str, Any]
) -> dict[str, Any]:
    return {"_type": STATEMENT, "subject": subject, "predicateType": kind, "predicate": predicate}


def _provenance(record: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe is what determines an image: its inputs are what the build resolved."""
    recipe, source = record["recipe"], record.get("source")
    dependencies = [
        {"name": name, "digest": {"sha256": digest}} for name, digest in recipe["inputs"].items()
    ]
    if source is not None:
        origin = source.get("repository", "")
        dependencies.append(
            {"name": "catalogue", "uri": f"git+{origin}", "digest": {"gitCommit": source["commit"]}}
        )
    builder = record["tools"].get("osqual", "")
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"configuration": record["configuration"]},
            "internalParameters": {"recipe": recipe["digest"], "tools": dict(record["tools"])},
            "resolvedDependencies": dependencies,
        },
        "runDetails": {
            "builder": {"id": record.get("run_url", "osqual"), "version": {"osqual": builder}},
            "metadata": {
                "invocationId": record["run"],
                "startedOn": record["started_at"],
                "finishedOn": record["ended_at"],
            },
        },
    }


def _test_result(record: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
    def named(*kinds: str) -> list[str]:
        return [
            f"{suite['name']}: {test}"
            for suite in record["suites"]
            for kind in kinds
            for test in suite.get(kind, ())
        ]

    result = {
        "result": _RESULTS[record["verdict"]],
        "configuration": [
            *(
                {"name": name, "digest": {"sha256": digest_of(text)}}
                for name, text in files.items()
            ),
            *(
                {"name": name, "digest": {"sha256": digest}}
                for name, digest in record["inputs"].items()
            ),
        ],
        "passedTests": [],
        "warnedTests": named("flaky", "muted"),
        "failedTests": named("failing"),
    }
    return {**result, "url": record["run_url"]} if record.get("run_url") else result
