"""The least policy under which everything that osqual does in AWS is allowed."""

from collections.abc import Mapping
from typing import Any

READ = (
    "ec2:Describe*",
    "ec2:GetConsoleOutput",
    "servicequotas:GetServiceQuota",
    "ssm:GetParameters",
    "sts:GetCallerIdentity",
)
"""What has no narrower form: describe calls know no resources."""

MAKE = (
    "ec2:AssociateRouteTable",
    "ec2:AttachInternetGateway",
    "ec2:CopyImage",
    "ec2:CreateImage",
    "ec2:CreateInternetGateway",
    "ec2:CreateKeyPair",
    "ec2:CreateRoute",
    "ec2:CreateRouteTable",
    "ec2:CreateSecurityGroup",
    "ec2:CreateSnapshot",
    "ec2:CreateSubnet",
    "ec2:CreateTags",
    "ec2:CreateVolume",
    "ec2:CreateVpc",
    "ec2:ImportKeyPair",
    "ec2:RegisterImage",
    "ec2:RunInstances",
)
"""Making things: what is made cannot carry a tag before it is made."""

CHANGE = (
    "ec2:AttachVolume",
    "ec2:AuthorizeSecurityGroupEgress",
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:DeleteInternetGateway",
    "ec2:DeleteKeyPair",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteRoute",
    "ec2:DeleteRouteTable",
    "ec2:DeleteSecurityGroup",
    "ec2:DeleteSnapshot",
    "ec2:DeleteSubnet",
    "ec2:DeleteVolume",
    "ec2:DeleteVpc",
    "ec2:DeregisterImage",
    "ec2:DetachInternetGateway",
    "ec2:DetachVolume",
    "ec2:DisassociateRouteTable",
    "ec2:ModifyImageAttribute",
    "ec2:ModifyInstanceAttribute",
    "ec2:ModifyInstanceMetadataOptions",
    "ec2:ModifySnapshotAttribute",
    "ec2:ModifySubnetAttribute",
    "ec2:ModifyVpcAttribute",
    "ec2:RevokeSecurityGroupEgress",
    "ec2:RevokeSecurityGroupIngress",
    "ec2:StopInstances",
    "ec2:TerminateInstances",
)
"""Changing and ending things."""


def policy(regions: tuple[str, ...] = ()) -> Mapping[str, Any]:
    """An IAM policy document; with regions, everything but reading is confined to them."""
    confined = {"Condition": {"StringEquals": {"aws:RequestedRegion": list(regions)}}}
    place = confined if regions else {}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "Look", "Effect": "Allow", "Action": list(READ), "Resource": "*"},
            {"Sid": "Make", "Effect": "Allow", "Action": list(MAKE), "Resource": "*", **place},
            {"Sid": "Change", "Effect": "Allow", "Action": list(CHANGE), "Resource": "*", **place},
        ],
    }
