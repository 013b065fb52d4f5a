# Control Tower Account Factory for Terraform: goes into terraform/ of the global customizations, so that every account gets
# github-trust, or into that of an account customization. AFT brings the provider and the account's credentials.

locals {
  # The Name of code-bucket.yaml, and the directory of a version in it.
  github_trust_bucket  = "octo-code"
  github_trust_version = "0.1.0-x86_64"
  github_trust_url     = "https://${local.github_trust_bucket}-${data.aws_region.current.region}.s3.${data.aws_region.current.region}.amazonaws.com/github-trust/${local.github_trust_version}"
}

data "aws_region" "current" {}

resource "aws_cloudformation_stack" "github_trust" {
  name         = "github-trust"
  template_url = "${local.github_trust_url}/github-trust.template.yaml"
  capabilities = ["CAPABILITY_IAM"]

  parameters = {
    CodeBucket          = local.github_trust_bucket
    CodeBuckets         = "${local.github_trust_bucket}-*"
    CodeKey             = "github-trust/${local.github_trust_version}/function.zip"
    AllowedGitHubOwners = "octo-org"
  }

  lifecycle {
    # Without the function, stacks that use it can neither be changed nor deleted.
    prevent_destroy = true
  }
}
