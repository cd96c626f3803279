locals {
  nodes  = toset(["server", "app", "db"])
  agents = toset(["app", "db"])
  # Known beforehand, so that no machine must wait for another to know where it is.
  address = {
    server = cidrhost(cidrsubnet(var.vpc_cidr, 8, 0), 10)
    app    = cidrhost(cidrsubnet(var.vpc_cidr, 8, 0), 11)
    db     = cidrhost(cidrsubnet(var.vpc_cidr, 8, 0), 12)
  }
  install = templatefile("${path.module}/templates/install.sh.tftpl", {
    url    = split("#sha256:", var.release)[0]
    sha256 = split("#sha256:", var.release)[1]
  })
  node_data = { for name in local.agents : name => {
    install = local.install
    name    = name
    address = local.address[name]
    server  = local.address.server
    token   = random_password.join[name].result
  } }
  user_data = {
    server = templatefile("${path.module}/templates/server.sh.tftpl", {
      install    = local.install
      address    = local.address
      region     = var.region
      app_token  = random_password.join["app"].result
      db_token   = random_password.join["db"].result
      retention  = var.retention
      public_key = var.ssh_public_key == null ? "" : var.ssh_public_key
    })
    app = templatefile("${path.module}/templates/app.sh.tftpl", local.node_data["app"])
    db  = templatefile("${path.module}/templates/db.sh.tftpl", local.node_data["db"])
  }
}

# Debian's own images, by its account.
data "aws_ami" "debian" {
  most_recent = true
  owners      = ["136693071363"]
  filter {
    name   = "name"
    values = ["debian-12-amd64-*"]
  }
}

# One join token a node: good for that name, once, within an hour of the server's first boot.
resource "random_password" "join" {
  for_each = local.agents
  length   = 40
  special  = false
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "server" {
  name_prefix        = "vedette-server-"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_role_policy" "discover" {
  name = "discover"
  role = aws_iam_role.server.id
  policy = jsonencode({
    Version = "2012-10-17"
    # This action knows no narrower resource than all.
    Statement = [{ Effect = "Allow", Action = ["ec2:DescribeInstances"], Resource = "*" }]
  })
}

resource "aws_iam_instance_profile" "server" {
  name_prefix = "vedette-server-"
  role        = aws_iam_role.server.name
}

module "network" {
  source     = "./modules/network"
  vpc_cidr   = var.vpc_cidr
  nodes      = local.nodes
  agents     = local.agents
  admin_cidr = var.admin_cidr
  ssh_cidr   = var.ssh_cidr
}

module "node" {
  source            = "./modules/node"
  for_each          = local.nodes
  name              = each.key
  address           = local.address[each.key]
  pulled            = contains(local.agents, each.key)
  user_data         = local.user_data[each.key]
  ami_id            = var.ami_id == null ? data.aws_ami.debian.id : var.ami_id
  instance_type     = var.instance_types[each.key]
  subnet_id         = module.network.subnet_id
  security_group_id = module.network.security_group_ids[each.key]
  volume_gib        = each.key == "server" ? var.volume_gib : 10
  # The server alone may ask AWS for something: which instances there are.
  instance_profile = each.key == "server" ? aws_iam_instance_profile.server.name : null
}
