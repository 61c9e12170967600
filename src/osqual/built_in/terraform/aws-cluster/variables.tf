# What osqual gives itself.

variable "aws_ami" {
  description = "The image that every node starts from."
  type        = string
}

variable "aws_region" {
  type = string
}

variable "cluster_name" {
  description = "Names everything; unique for each run."
  type        = string
}

variable "ssh_public_key" {
  description = "The key pair of the run."
  type        = string
}

variable "operator_cidr" {
  description = "Who may reach the nodes from outside."
  type        = string
}

variable "run_tags" {
  description = "Tags by which whatever is left of a run is found."
  type        = map(string)
  default     = {}
}

# What a cluster profile may say.

variable "num_of_masters" {
  type    = number
  default = 1
}

variable "num_of_private_agents" {
  type    = number
  default = 1
}

variable "num_of_public_agents" {
  type    = number
  default = 1
}

variable "aws_master_instance_type" {
  type    = string
  default = "m5.xlarge"
}

variable "aws_agent_instance_type" {
  type    = string
  default = "m5.xlarge"
}

variable "aws_public_agent_instance_type" {
  type    = string
  default = "m5.xlarge"
}

variable "aws_availability_zone" {
  description = "Empty: the first one of the region."
  type        = string
  default     = ""
}

variable "availability_zones" {
  description = "The same, as other modules want it: the first one is used."
  type        = list(string)
  default     = []
}

variable "root_volume_gb" {
  description = "Null: as large as the image's."
  type        = number
  default     = null
}

variable "spot" {
  description = "Spot instances: cheaper, and they may be taken away."
  type        = bool
  default     = false
}

variable "cidr" {
  description = "The network of the nodes."
  type        = string
  default     = "10.214.0.0/24"
}

variable "tags" {
  type    = map(string)
  default = {}
}

variable "owner" {
  description = "A tag."
  type        = string
  default     = ""
}

variable "expiration" {
  description = "A tag that account cleaners read, such as 3h."
  type        = string
  default     = ""
}

# Profiles that were written for other modules have these. They change nothing here.

variable "admin_cidr" {
  description = "Not used: only operator_cidr is let in."
  type        = string
  default     = ""
}

variable "ssh_key_name" {
  description = "Not used: each run has a key pair of its own."
  type        = string
  default     = ""
}

variable "ssh_user" {
  description = "Not used: the image knows its user."
  type        = string
  default     = ""
}
