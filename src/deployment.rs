//! The place of the function: partition, region and account.

use crate::arn::Arn;

/// The account and region that the function works in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// `aws`, `aws-cn`, `aws-us-gov` …
    pub partition: String,
    /// The region, for EKS.
    pub region: String,
    /// The twelve digits of the account.
    pub account: String,
    /// The path of roles whose declaration names none.
    pub role_path: String,
    /// The permissions boundary of roles whose declaration names none, where the deployment demands one.
    pub role_boundary: Option<String>,
}

impl Deployment {
    /// Returns the ARN of a resource of IAM in this account, such as `role/ci/deploy`.
    #[must_use]
    pub fn iam_arn(&self, resource: &str) -> String {
        let Self { partition, account, region: _, role_path: _, role_boundary: _ } = self;
        Arn { partition, service: "iam", region: "", account, resource }.to_string()
    }
}
