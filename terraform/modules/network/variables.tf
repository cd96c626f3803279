variable "vpc_cidr" {
  description = "Addresses of the VPC, a /16; its first /24 becomes the one subnet."
  type        = string
}

variable "nodes" {
  description = "Every node by name; one of them is called server."
  type        = set(string)
}

variable "agents" {
  description = "Those of them that the server pulls from."
  type        = set(string)
}

variable "admin_cidr" {
  description = "Who may open the page and ask over gRPC."
  type        = string
}

variable "ssh_cidr" {
  description = "Who may reach ssh on the server; null: nobody."
  type        = string
}
