//! The place of the function: partition, region and account.

/// The account and region that the function works in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// `aws`, `aws-cn`, `aws-us-gov` …
    pub partition: String,
    /// The region, for EKS.
    pub region: String,
    /// The twelve digits of the account.
    pub account: String,
    /// Where roles are whose declaration names no path.
    pub role_path: String,
}
