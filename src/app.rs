//! The clients and settings that all invocations of a process share.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::SystemTime;

use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use tokio::time::Instant;

use crate::arn::Arn;
use crate::aws::Deadline;
use crate::cloudformation::Request;
use crate::deployment::Deployment;
use crate::github::client::{Asked, Client};
use crate::lazy::Lazy;
use crate::reconcile::{Claimable, Claimed};
use crate::request_origin::RollbackCheck;
use crate::resources::eks_access_entry::AccessEntries;
use crate::resources::github_role::GitHubRoles;
use crate::resources::oidc_provider::OidcProviders;
use crate::resources::oidc_provider::thumbprint::Issuers;
use crate::settings::Settings;

/// The clients and settings that all invocations of a process share. Nothing of a request is kept.
#[derive(Clone, Debug)]
pub struct App {
    /// The settings of the deployment.
    pub settings: Settings,
    /// CloudFormation, which shows that it waits for a request.
    pub cloudformation: Lazy<aws_sdk_cloudformation::Client>,
    /// IAM.
    pub iam: Lazy<aws_sdk_iam::Client>,
    /// EKS.
    pub eks: Lazy<aws_sdk_eks::Client>,
    /// Secrets Manager, which holds the credential for GitHub, and the function's records.
    pub secrets: Lazy<aws_sdk_secretsmanager::Client>,
    /// The certificates of issuers.
    pub issuers: Arc<dyn Issuers>,
    /// The HTTP client for responses and for GitHub.
    pub http: SharedHttpConnector,
    /// The time of day.
    pub clock: SharedTimeSource,
}

impl App {
    /// The client of GitHub.
    pub(crate) fn github(&self, deadline: Deadline) -> Client {
        let Settings { github_secret, github_api_root, .. } = &self.settings;
        Client {
            http: self.http.clone(),
            secrets: self.secrets.clone(),
            secret: github_secret.clone(),
            api_root: github_api_root.clone(),
            clock: self.clock.clone(),
            deadline,
            credentials: RefCell::default(),
            tokens: RefCell::default(),
            asked: Asked::default(),
        }
    }

    /// The calls for OIDC providers.
    pub(crate) fn providers(&self, deployment: Deployment, deadline: Deadline) -> OidcProviders {
        OidcProviders {
            iam: self.iam.clone(),
            cloudformation: self.cloudformation.clone(),
            deployment,
            deadline,
            issuers: Arc::clone(&self.issuers),
            clock: self.clock.clone(),
            now: self.clock.now(),
            rotation_policy: self.settings.rotation_policy,
        }
    }

    /// The calls for roles.
    pub(crate) fn roles(&self, deployment: Deployment, deadline: Deadline) -> GitHubRoles {
        let (cloudformation, iam, secrets) = (self.cloudformation.clone(), self.iam.clone(), self.secrets.clone());
        GitHubRoles::new(cloudformation, iam, deployment, deadline, self.github(deadline), secrets)
    }

    /// The calls for access entries.
    pub(crate) fn entries(&self, deployment: Deployment, deadline: Deadline) -> AccessEntries {
        let (eks, iam, secrets) = (self.eks.clone(), self.iam.clone(), self.secrets.clone());
        let process = format!("{:016x}", fastrand::u64(..));
        let (cloudformation, clock, now) = (self.cloudformation.clone(), self.clock.clone(), self.clock.now());
        let rollback = RollbackCheck::new(cloudformation.clone(), deadline);
        AccessEntries { eks, iam, secrets, process, cloudformation, rollback, clock, now, deployment, deadline }
    }

    /// The calls for objects at GitHub, with those for the claims on them.
    pub(crate) fn claimed<R: Claimable>(&self, inner: R, request: &Request, deadline: Deadline) -> Claimed<R> {
        Claimed::new(inner, request, RollbackCheck::new(self.cloudformation.clone(), deadline))
    }

    /// Converts a time of day to the clock that pauses and time-outs run on.
    pub(crate) fn instant(&self, time: SystemTime) -> Instant {
        Instant::now() + time.duration_since(self.clock.now()).unwrap_or_default()
    }

    /// Parses the function's ARN.
    pub(crate) fn deployment(&self, function_arn: &str) -> Option<Deployment> {
        let arn = Arn::parse(function_arn)?;
        let is_function = arn.service == "lambda" && arn.resource.starts_with("function:");
        is_function.then(|| self.deployment_at(arn.partition, arn.region, arn.account))
    }

    pub(crate) fn deployment_at(&self, partition: &str, region: &str, account: &str) -> Deployment {
        Deployment {
            partition: partition.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            role_path: self.settings.guardrails.role_path().to_owned(),
            role_boundary: self.settings.guardrails.role_boundary().map(str::to_owned),
        }
    }
}
