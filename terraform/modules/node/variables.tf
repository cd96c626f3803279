variable "name" {
  description = "What the node is called, in its tags and in its certificate."
  type        = string
}

variable "address" {
  description = "Its private address."
  type        = string
}

variable "pulled" {
  description = "Whether it has an agent that the server pulls from."
  type        = bool
}

variable "user_data" {
  description = "The script of its first boot."
  type        = string
}

variable "ami_id" {
  description = "Its image: Debian 12 for x86-64."
  type        = string
}

variable "instance_type" {
  description = "EC2 instance type."
  type        = string
}

variable "subnet_id" {
  description = "Where it stands."
  type        = string
}

variable "security_group_id" {
  description = "What may reach it."
  type        = string
}

variable "volume_gib" {
  description = "Size of its volume, in GiB."
  type        = number
  default     = 10
}

variable "instance_profile" {
  description = "The role that it has towards AWS; null: none."
  type        = string
  default     = null
}
