# The first step of the move from Terraform: these blocks instead of those of terraform-1-before.tf. Terraform (1.7 and later)
# forgets the objects and leaves them as they are. The second step is adopt.yaml. See docs/migration.md.

removed {
  from = aws_iam_openid_connect_provider.github

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_iam_role.deploy

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_iam_role_policy_attachment.read

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_iam_role_policy.deploy

  lifecycle {
    destroy = false
  }
}
