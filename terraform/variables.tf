variable "admin_cidr" {
  description = "Who may open the page: your network's public address, such as 198.51.100.7/32. Never the whole world."
  type        = string
  validation {
    condition     = can(cidrhost(var.admin_cidr, 0)) && try(tonumber(split("/", var.admin_cidr)[1]) >= 8, false)
    error_message = "Want a CIDR such as 198.51.100.7/32; a prefix shorter than /8 is most of the world."
  }
}

variable "release" {
  description = "Where the programs are, and their hash: https://HOST/PATH/vedette-VERSION-linux-amd64.tar.gz#sha256:HEX, as tools/release prints it; file:///PATH/... for an image that has it."
  type        = string
  validation {
    condition     = can(regex("^(https|file)://[A-Za-z0-9._~:/@%+=-]+[.]tar[.]gz#sha256:[0-9a-f]{64}$", var.release))
    error_message = "Want https://HOST/PATH/NAME.tar.gz#sha256: (or file:///PATH/...) and 64 hexadecimal digits, as tools/release prints it."
  }
}

variable "region" {
  description = "AWS region of everything."
  type        = string
  default     = "eu-west-1"
}

variable "ssh_cidr" {
  description = "Who may reach ssh on the server, for as long as it is set; null: nobody. Needed once, to put the Slack webhook there."
  type        = string
  default     = null
  validation {
    condition     = var.ssh_cidr == null ? true : can(cidrhost(var.ssh_cidr, 0)) && try(tonumber(split("/", var.ssh_cidr)[1]) >= 8, false)
    error_message = "Want a CIDR such as 198.51.100.7/32, or null."
  }
}

variable "ssh_public_key" {
  description = "An OpenSSH public key for the user admin of the server; null: none. Changing it replaces the server."
  type        = string
  default     = null
  validation {
    condition     = var.ssh_public_key == null ? true : can(regex("^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp256) [A-Za-z0-9+/=]+( .*)?$", var.ssh_public_key))
    error_message = "Want one line of an OpenSSH .pub file, or null."
  }
}

variable "vpc_cidr" {
  description = "Addresses of the VPC; its first /24 becomes the one subnet."
  type        = string
  default     = "10.77.0.0/16"
  validation {
    condition     = can(cidrsubnet(var.vpc_cidr, 8, 0)) && try(split("/", var.vpc_cidr)[1] == "16", false)
    error_message = "Want a /16 such as 10.77.0.0/16."
  }
}

variable "instance_types" {
  description = "EC2 instance type (x86-64) of each node."
  type        = object({ server = string, app = string, db = string })
  default     = { server = "t3.small", app = "t3.micro", db = "t3.micro" }
}

variable "volume_gib" {
  description = "Size of the server's volume, where samples are kept, in GiB."
  type        = number
  default     = 20
  validation {
    condition     = var.volume_gib >= 10 && var.volume_gib <= 16384
    error_message = "Want 10 to 16384."
  }
}

variable "retention" {
  description = "How long samples are kept."
  type        = string
  default     = "15d"
  validation {
    condition     = can(regex("^[0-9]+[hdwy]$", var.retention))
    error_message = "Want a duration such as 15d."
  }
}

variable "ami_id" {
  description = "An image of Debian 12 for x86-64; null: Debian's latest at the first apply."
  type        = string
  default     = null
}
