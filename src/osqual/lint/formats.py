"""Findings for people, scripts and GitHub. SARIF is in its own module."""

import re
from collections.abc import Iterator
from typing import Any

from osqual.lint.check import Report
from osqual.lint.finding import Finding, Level

_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}


def said(finding: Finding) -> str:
    """Key and message, and how many configurations it concerns when that are several."""
    key = f"{finding.key}: " if finding.key else ""
    count = len(finding.configurations)
    return f"{key}{finding.message}" + (f" ({count} configurations)" if count > 1 else "")


def summary(report: Report) -> str:
    """One line that tells the counts."""
    errors, warnings = report.count(Level.ERROR), report.count(Level.WARNING)
    fixable = sum(finding.rule.fixable for finding in report.findings)
    parts = [_count(errors, "error"), _count(warnings, "warning")]
    part = f"{report.concerned} of " if report.concerned < report.configurations else ""
    text = f"{', '.join(parts)} in {part}{_count(report.configurations, 'configuration')}"
    if report.accepted:
        text += f"; {report.accepted} accepted"
    if fixable:
        text += f"; --fix repairs {fixable}"
    return f"{text}."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def json_document(report: Report) -> dict[str, Any]:
    """Everything, for scripts."""
    return {
        "findings": [
            {
                "code": finding.code,
                "level": finding.level.value,
                "title": finding.rule.title,
                "file": finding.file,
                "line": finding.line or None,
                "key": finding.key or None,
                "message": finding.message,
                "configurations": list(finding.configurations),
                "fixable": finding.rule.fixable,
            }
            for finding in report.findings
        ],
        "errors": report.count(Level.ERROR),
        "warnings": report.count(Level.WARNING),
        "accepted": report.accepted,
        "configurations": report.configurations,
    }


def github_lines(report: Report, prefix: str) -> Iterator[str]:
    """Workflow commands, which GitHub shows as annotations.

    `prefix` is where the catalogue lies in the repository. The escapes are those of GitHub's own
    toolkit: `%` and line ends in the text, also `:` and `,` in properties.
    """
    for finding in report.findings:
        properties = {
            "file": f"{prefix}{finding.file}",
            "line": str(finding.line or 1),
            "title": f"{finding.code} {finding.rule.title}",
        }
        told = ",".join(f"{name}={_escape(text, _PROPERTY)}" for name, text in properties.items())
        yield f"::{finding.level} {told}::{_escape(said(finding), _DATA)}"


def _escape(text: str, escapes: dict[str, str]) -> str:
    return re.sub(r"[%\r\n:,]", lambda found: escapes.get(found[0], found[0]), text)
