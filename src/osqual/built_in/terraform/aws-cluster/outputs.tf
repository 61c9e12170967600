# Node number n of a role is the n-th address of the role's list.

locals {
  masters        = [for n in range(var.num_of_masters) : aws_instance.node["master-${n + 1}"]]
  private_agents = [for n in range(var.num_of_private_agents) : aws_instance.node["private-agent-${n + 1}"]]
  public_agents  = [for n in range(var.num_of_public_agents) : aws_instance.node["public-agent-${n + 1}"]]
}

output "master_public_ips" {
  value = local.masters[*].public_ip
}

output "master_private_ips" {
  value = local.masters[*].private_ip
}

output "private_agent_public_ips" {
  value = local.private_agents[*].public_ip
}

output "private_agent_private_ips" {
  value = local.private_agents[*].private_ip
}

output "public_agent_public_ips" {
  value = local.public_agents[*].public_ip
}

output "public_agent_private_ips" {
  value = local.public_agents[*].private_ip
}
