"""`osqual iam-policy`: what AWS must allow."""

import click

from osqual.cli.common import print_json

EPILOG = """\b
Example:
  osqual iam-policy --region us-west-2 > osqual-policy.json

Credentials come from AWS's normal chain: environment, profile, role, OIDC.
"""


@click.command(name="iam-policy", epilog=EPILOG)
@click.option("--region", "regions", multiple=True, help="Confine changes to it; repeatable.")
def iam_policy(*, regions: tuple[str, ...]) -> None:
    """Print the least policy that builds, clusters and image commands need."""
    from osqual.aws.policy import policy

    print_json(policy(regions))
