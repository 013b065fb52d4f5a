# A role for GitHub's jobs in a configuration of Terraform: the stack of CloudFormation declares it, and Terraform reads its
# outputs. Copy examples/smoke-test.yaml beside this file, or a template of your own.

variable "repository" {
  type        = string
  description = "The repository, as owner/name"
}

resource "aws_cloudformation_stack" "github_role" {
  name          = "github-role"
  template_body = file("${path.module}/smoke-test.yaml")

  parameters = {
    Repository = var.repository
  }

  # A stack that fails for the first time is deleted, so that the next `terraform apply` can make it.
  on_failure = "DELETE"
}

output "role_arn" {
  description = "For role-to-assume of aws-actions/configure-aws-credentials"
  value       = aws_cloudformation_stack.github_role.outputs["RoleArn"]
}
