output "page" {
  description = "The page. User admin; its password is made on the server: see 'first_login'."
  value       = "https://${module.node["server"].public_ip}:9090"
}

output "first_login" {
  description = "On the server, while ssh_cidr is set: prints the page's password, and asks for the Slack webhook without showing it."
  value       = "ssh -t admin@${module.node["server"].public_ip} 'sudo cat /etc/vedette/page-password; sudo vedette-slack'"
}

output "operator_files" {
  description = "Fetches an operator's certificate for gRPC into ./vedette-operator, while ssh_cidr is set."
  value       = "mkdir -m 700 -p vedette-operator && ssh admin@${module.node["server"].public_ip} 'sudo tar -C /var/lib/vedette-server/operator -c .' | tar -C vedette-operator -x"
}

output "grpcurl" {
  description = "A query over gRPC, with the files of 'operator_files'."
  value       = "grpcurl -cacert vedette-operator/ca.crt -cert vedette-operator/operator.crt -key vedette-operator/operator.key -authority server -d '{\"query\": \"up\"}' ${module.node["server"].public_ip}:9466 vedette.v1.QueryService/Query"
}

output "private_addresses" {
  description = "Private address of each node."
  value       = { for name, node in module.node : name => node.private_ip }
}
