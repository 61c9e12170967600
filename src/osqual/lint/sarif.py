"""Findings as SARIF 2.1.0, which code scanning services take."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from osqual import __version__
from osqual.lint.check import Report
from osqual.lint.finding import Finding, Rule

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif_document(report: Report, rules: Sequence[Rule], prefix: str) -> dict[str, Any]:
    """One run with every rule that was looked at. `prefix`: the catalogue in the repository."""
    index = {rule.code: number for number, rule in enumerate(rules)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "osqual lint",
                        "semanticVersion": __version__,
                        "rules": [_rule(rule) for rule in rules],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, index, prefix) for finding in report.findings],
            }
        ],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.code,
        "name": "".join(re.findall(r"\w+", rule.title.title())),
        "shortDescription": {"text": rule.title},
        "help": {"text": f"{rule.title}. See {rule.page}."},
        "defaultConfiguration": {"level": rule.level.value},
    }


def _result(finding: Finding, index: Mapping[str, int], prefix: str) -> dict[str, Any]:
    said = f"{finding.key}: {finding.message}" if finding.key else finding.message
    return {
        "ruleId": finding.code,
        "ruleIndex": index[finding.code],
        "level": finding.level.value,
        "message": {"text": said},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {
                        "uri": quote(f"{prefix}{finding.file}", errors="surrogateescape")
                    },
                    "region": {"startLine": finding.line or 1},
                }
            }
        ],
        "partialFingerprints": {"osqual/v1": _fingerprint(finding)},
    }


def _fingerprint(finding: Finding) -> str:
    """The same for one finding when lines above it come or go."""
    parts = (finding.code, finding.file, finding.key, finding.message)
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()
