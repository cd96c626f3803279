# One machine: its metadata answers tokens only, its volume is encrypted.

resource "aws_instance" "main" {
  ami                         = var.ami_id
  instance_type               = var.instance_type
  subnet_id                   = var.subnet_id
  private_ip                  = var.address
  associate_public_ip_address = true
  vpc_security_group_ids      = [var.security_group_id]
  iam_instance_profile        = var.instance_profile
  user_data                   = var.user_data
  user_data_replace_on_change = true

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  root_block_device {
    volume_type = "gp3"
    volume_size = var.volume_gib
    encrypted   = true
  }
  tags = {
    Name = "vedette-${var.name}"
    Role = var.name
    # What the server's discovery looks for.
    VedetteAgent = var.pulled ? "yes" : "no"
  }
  lifecycle {
    # A newer image is taken when a machine is replaced, not as a reason to replace it.
    ignore_changes = [ami]
  }
}
