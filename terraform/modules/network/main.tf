# One subnet. Every node has a public address, since each fetches packages; what may come in is below,
# and everything else may not.

resource "aws_vpc" "main" {
  cidr_block           = var.vpc_cidr
  enable_dns_hostnames = true
  tags                 = { Name = "vedette" }
}

resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
  tags   = { Name = "vedette" }
}

resource "aws_subnet" "main" {
  vpc_id                  = aws_vpc.main.id
  cidr_block              = cidrsubnet(var.vpc_cidr, 8, 0)
  map_public_ip_on_launch = true
  tags                    = { Name = "vedette" }
}

resource "aws_route_table" "main" {
  vpc_id = aws_vpc.main.id
  tags   = { Name = "vedette" }
}

resource "aws_route" "out" {
  route_table_id         = aws_route_table.main.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.main.id
}

resource "aws_route_table_association" "main" {
  subnet_id      = aws_subnet.main.id
  route_table_id = aws_route_table.main.id
}

resource "aws_security_group" "node" {
  for_each    = var.nodes
  name        = "vedette-${each.key}"
  description = "Vedette ${each.key}"
  vpc_id      = aws_vpc.main.id
  tags        = { Name = "vedette-${each.key}" }
}

resource "aws_vpc_security_group_egress_rule" "out" {
  for_each          = var.nodes
  security_group_id = aws_security_group.node[each.key].id
  description       = "Packages, the release, Slack"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}

resource "aws_vpc_security_group_ingress_rule" "pull" {
  for_each                     = var.agents
  security_group_id            = aws_security_group.node[each.key].id
  description                  = "The server pulls from the agent"
  referenced_security_group_id = aws_security_group.node["server"].id
  from_port                    = 9465
  to_port                      = 9465
  ip_protocol                  = "tcp"
}

resource "aws_vpc_security_group_ingress_rule" "enrol" {
  for_each                     = var.agents
  security_group_id            = aws_security_group.node["server"].id
  description                  = "The ${each.key} node gets its certificate"
  referenced_security_group_id = aws_security_group.node[each.key].id
  from_port                    = 9467
  to_port                      = 9467
  ip_protocol                  = "tcp"
}

resource "aws_vpc_security_group_ingress_rule" "page" {
  security_group_id = aws_security_group.node["server"].id
  description       = "The page and its API: TLS and a password"
  cidr_ipv4         = var.admin_cidr
  from_port         = 9090
  to_port           = 9090
  ip_protocol       = "tcp"
}

resource "aws_vpc_security_group_ingress_rule" "grpc" {
  security_group_id = aws_security_group.node["server"].id
  description       = "Queries over gRPC: a client certificate"
  cidr_ipv4         = var.admin_cidr
  from_port         = 9466
  to_port           = 9466
  ip_protocol       = "tcp"
}

resource "aws_vpc_security_group_ingress_rule" "ssh" {
  count             = var.ssh_cidr == null ? 0 : 1
  security_group_id = aws_security_group.node["server"].id
  description       = "ssh, while ssh_cidr is set"
  cidr_ipv4         = var.ssh_cidr
  from_port         = 22
  to_port           = 22
  ip_protocol       = "tcp"
}
