# A cluster of plain instances for any product: a network of its own, one security group that lets
# in the operator alone, one key pair. Nothing is shared with another run, and all of it is tagged.

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.62, < 7"
    }
  }
}

provider "aws" {
  region = var.aws_region
  # The provider tries again for most of an hour when there is no capacity; osqual has retries too.
  max_retries = 8
}

locals {
  tags = merge(
    { for name, value in { owner = var.owner, expiration = var.expiration } : name => value if value != "" },
    var.tags,
  )
  zones = compact(concat(
    [var.aws_availability_zone], var.availability_zones, data.aws_availability_zones.available.names
  ))
  nodes = merge(
    { for n in range(var.num_of_masters) : "master-${n + 1}" => var.aws_master_instance_type },
    { for n in range(var.num_of_private_agents) : "private-agent-${n + 1}" => var.aws_agent_instance_type },
    { for n in range(var.num_of_public_agents) : "public-agent-${n + 1}" => var.aws_public_agent_instance_type },
  )
}

data "aws_availability_zones" "available" {
  state = "available"
}

resource "aws_vpc" "cluster" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = merge(local.tags, { Name = var.cluster_name })
}

resource "aws_subnet" "nodes" {
  vpc_id                  = aws_vpc.cluster.id
  cidr_block              = var.cidr
  availability_zone       = local.zones[0]
  map_public_ip_on_launch = true
  tags                    = merge(local.tags, { Name = var.cluster_name })
}

resource "aws_internet_gateway" "out" {
  vpc_id = aws_vpc.cluster.id
  tags   = merge(local.tags, { Name = var.cluster_name })
}

resource "aws_route_table" "nodes" {
  vpc_id = aws_vpc.cluster.id
  tags   = merge(local.tags, { Name = var.cluster_name })

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.out.id
  }
}

resource "aws_route_table_association" "nodes" {
  subnet_id      = aws_subnet.nodes.id
  route_table_id = aws_route_table.nodes.id
}

resource "aws_security_group" "nodes" {
  name        = var.cluster_name
  description = "Nodes of ${var.cluster_name}: each other, and the operator"
  vpc_id      = aws_vpc.cluster.id
  tags        = merge(local.tags, { Name = var.cluster_name })

  ingress {
    description = "from node to node"
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    self        = true
  }

  ingress {
    description = "the operator"
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = [var.operator_cidr]
  }

  egress {
    description = "out"
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_key_pair" "run" {
  key_name   = var.cluster_name
  public_key = var.ssh_public_key
  tags       = local.tags
}

resource "aws_instance" "node" {
  for_each = local.nodes

  ami                         = var.aws_ami
  instance_type               = each.value
  subnet_id                   = aws_subnet.nodes.id
  vpc_security_group_ids      = [aws_security_group.nodes.id]
  key_name                    = aws_key_pair.run.key_name
  associate_public_ip_address = true
  tags                        = merge(local.tags, { Name = "${var.cluster_name}-${each.key}" })
  volume_tags                 = merge(local.tags, var.run_tags, { Name = "${var.cluster_name}-${each.key}" })

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 2
  }

  root_block_device {
    encrypted             = true
    volume_size           = var.root_volume_gb
    volume_type           = "gp3"
    delete_on_termination = true
  }

  dynamic "instance_market_options" {
    for_each = var.spot ? [1] : []
    content {
      market_type = "spot"
    }
  }
}
