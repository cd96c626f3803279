output "subnet_id" {
  description = "The one subnet."
  value       = aws_subnet.main.id
  # Whoever starts a machine in it wants a way out.
  depends_on = [aws_route.out, aws_route_table_association.main]
}

output "security_group_ids" {
  description = "The security group of each node."
  value       = { for name, group in aws_security_group.node : name => group.id }
  # What the first boot needs: a way out, and ways to each other.
  depends_on = [
    aws_vpc_security_group_egress_rule.out,
    aws_vpc_security_group_ingress_rule.enrol,
  ]
}
