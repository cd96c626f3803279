output "public_ip" {
  description = "Its address from outside."
  value       = aws_instance.main.public_ip
}

output "private_ip" {
  description = "Its address inside the VPC."
  value       = aws_instance.main.private_ip
}
