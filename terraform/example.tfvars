# cp example.tfvars terraform.tfvars, and change both.
admin_cidr = "198.51.100.7/32"
release    = "https://downloads.example.com/vedette-0.1.0-linux-amd64.tar.gz#sha256:0000000000000000000000000000000000000000000000000000000000000000"
# Your key, for the one time that the Slack webhook is put on the server.
# ssh_public_key = "ssh-ed25519 AAAA... you@example.com"
