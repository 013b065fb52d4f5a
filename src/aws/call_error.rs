//! Errors of calls to AWS and GitHub, classified by their consequence.

use std::error::Error as StdError;
use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::net::http_client::is_too_large;

/// The consequence of a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The object is not there, or not yet visible.
    NotFound,
    /// The object is there already.
    AlreadyExists,
    /// Something still hangs on the object.
    InUse,
    /// Another change is in progress; the same call will succeed later.
    Busy,
    /// The call refers to an object that was created moments ago; the same call will succeed later.
    Propagating,
    /// Too many calls.
    Throttled,
    /// The call was not made: no call is started any more.
    TimeUp,
    /// The function's role may not do this.
    Denied,
    /// A quota of the account.
    Quota,
    /// No answer, or a 5xx: the call may or may not have been carried out.
    Unknown,
    /// The service refused the request as it stands.
    Invalid,
}

/// A call to AWS or GitHub that failed.
#[derive(Clone, Debug, thiserror::Error)]
pub struct CallError {
    /// Service and action as IAM policies write them: `iam:CreateRole`. GitHub's are `github:CreateVariable` and the like.
    pub action: &'static str,
    /// The object of the call.
    pub resource: Box<str>,
    /// The property that the call carries out, with its value, if the author can change it.
    pub property: Option<Box<str>>,
    /// The consequence of the failure.
    pub kind: ErrorKind,
    /// The service's error code, or what kept the call from being answered.
    pub code: String,
    /// The service's own words.
    pub message: String,
    /// The service's request id.
    pub request_id: Option<Box<str>>,
    /// True if an attempt at the same call ended unknown, so that the call may have been carried out.
    pub uncertain: bool,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, resource, property, kind, code, message, request_id, uncertain: _ } = self;
        if let (Some(property), true) = (property, self.is_refusal()) {
            write!(f, "{property}: ")?;
        }
        write!(f, "{action} on {resource} ")?;
        match kind {
            ErrorKind::Denied if action.starts_with("github:") => write!(f, "was denied ({code})")?,
            ErrorKind::Denied => write!(f, "was denied: allow it in the policy of the function's role ({code})")?,
            ErrorKind::Throttled => write!(f, "was throttled until the time was up ({code})")?,
            ErrorKind::TimeUp => write!(f, "was not started, because the time was up")?,
            ErrorKind::Quota => write!(f, "passes a quota of the account ({code})")?,
            ErrorKind::Propagating => write!(f, "did not see a new object in time ({code})")?,
            ErrorKind::Unknown => write!(f, "got no usable answer ({code})")?,
            ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::InUse
            | ErrorKind::Busy
            | ErrorKind::Invalid => {
                write!(f, "failed ({code})")?;
            }
        }
        if !message.is_empty() {
            write!(f, ": {message}")?;
        }
        match request_id {
            Some(id) => write!(f, " (request id {id})"),
            None => Ok(()),
        }
    }
}

impl CallError {
    /// Returns true if the service refused what the call asks for.
    fn is_refusal(&self) -> bool {
        matches!(self.kind, ErrorKind::Denied | ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Quota)
    }

    /// An error that this crate found itself, without a request id.
    pub fn of(
        kind: ErrorKind,
        action: &'static str,
        resource: impl fmt::Display,
        code: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            action,
            resource: resource.to_string().into(),
            property: None,
            kind,
            code: code.into(),
            message: message.into(),
            request_id: None,
            uncertain: false,
        }
    }

    /// The error of a read whose answer lacks the object that was asked for: nothing is known of it.
    pub fn empty_answer(action: &'static str, resource: impl fmt::Display) -> Self {
        let message = "the answer does not show what was asked for";
        Self { uncertain: true, ..Self::of(ErrorKind::Unknown, action, resource, "ResponseError", message) }
    }

    /// The error of a call that was not made, because the time was up.
    pub fn time_up(action: &'static str, resource: impl fmt::Display) -> Self {
        Self::of(ErrorKind::TimeUp, action, resource, "", "")
    }

    /// The error of a call whose answer did not come before the time was up.
    pub fn cut_off(action: &'static str, resource: impl fmt::Display) -> Self {
        let message = "the time was up before an answer came";
        Self { uncertain: true, ..Self::of(ErrorKind::Unknown, action, resource, "TimeoutError", message) }
    }

    /// Reads what the SDK says about a failed call.
    pub fn new<E>(action: &'static str, resource: impl fmt::Display, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: StdError + ProvideErrorMetadata + 'static,
    {
        let header =
            |name: &str| error.raw_response().and_then(|response| response.headers().get(name)).map(str::to_owned);
        let (code, message) = match error {
            SdkError::ServiceError(service) => {
                let meta = service.err().meta();
                (meta.code().unwrap_or("Unknown").to_owned(), meta.message().unwrap_or_default().to_owned())
            }
            SdkError::TimeoutError(_) => ("TimeoutError".to_owned(), String::new()),
            SdkError::DispatchFailure(failure) => (
                "ConnectionError".to_owned(),
                innermost(failure.as_connector_error().map(|error| error as &(dyn StdError + 'static))),
            ),
            SdkError::ResponseError(_) if is_too_large(error) => {
                ("ResponseError".to_owned(), "the answer is larger than any that is read".to_owned())
            }
            SdkError::ResponseError(_) => ("ResponseError".to_owned(), String::new()),
            other => ("RequestError".to_owned(), innermost(other.source())),
        };
        let status = error.raw_response().map(|response| response.status().as_u16());
        let kind = match error {
            // It was carried out, but the answer cannot be read: another program answered, or it was cut short.
            SdkError::ServiceError(_) if status.is_some_and(|status| (200..300).contains(&status)) => {
                ErrorKind::Unknown
            }
            SdkError::ServiceError(_) => classify(action, &code, &message, status.unwrap_or_default()),
            SdkError::ConstructionFailure(_) => ErrorKind::Invalid,
            _ => ErrorKind::Unknown,
        };
        let request_id = header("x-amzn-requestid").or_else(|| header("x-amz-request-id")).map(Into::into);
        let uncertain = kind == ErrorKind::Unknown;
        let resource = resource.to_string().into();
        Self { action, resource, property: None, kind, code, message, request_id, uncertain }
    }
}

fn innermost<'a>(error: Option<&'a (dyn StdError + 'a)>) -> String {
    let mut error = error;
    let mut text = String::new();
    while let Some(current) = error {
        text = current.to_string();
        error = current.source();
    }
    text
}

/// The table of error codes: IAM's Query protocol drops the `Exception` suffix, EKS keeps it.
fn classify(action: &str, code: &str, message: &str, status: u16) -> ErrorKind {
    match code.trim_end_matches("Exception") {
        // "Policy arn:… does not exist or is not attachable.": a managed policy that nobody is about to make; "Scope ARN: …"
        // where it is the boundary (the output of `rosa create account-roles`). In other words, it is looked for again.
        "NoSuchEntity" if action == "iam:CreateRole" => ErrorKind::Invalid,
        "NoSuchEntity"
            if matches!(action, "iam:AttachRolePolicy" | "iam:PutRolePermissionsBoundary")
                && message.contains("not attachable") =>
        {
            ErrorKind::Invalid
        }
        // terraform-provider-aws#35535: a role made seconds ago.
        "ResourceNotFound" if action == "eks:AssociateAccessPolicy" && message.contains("principalArn") => {
            ErrorKind::Propagating
        }
        "ResourceNotFound" if action == "eks:AssociateAccessPolicy" && message.contains("policyArn") => {
            ErrorKind::Invalid
        }
        // No such stack, or no such resource in it: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html
        "ValidationError" if action.starts_with("cloudformation:Describe") => ErrorKind::NotFound,
        // A cluster in mode CONFIG_MAP has no access entries. A read is refused for other reasons, too, so that it asks the cluster.
        "InvalidRequest" if message.contains("authentication mode") && !is_read_of_entry(action) => ErrorKind::NotFound,
        // A cluster takes access entries while it is updated; should one not, it does so soon.
        "InvalidRequest" if action.starts_with("eks:") && !is_final_request(message) => ErrorKind::Busy,
        // Only the cluster can be missing where an entry is made.
        "ResourceNotFound" if action == "eks:CreateAccessEntry" => ErrorKind::Invalid,
        // A secret whose deletion is under way, which is "scheduled for deletion", "marked for deletion" or "was deleted"
        // (terraform-provider-aws#5583): https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html
        "InvalidRequest" if action == "secretsmanager:GetSecretValue" => ErrorKind::NotFound,
        "InvalidRequest" if action.starts_with("secretsmanager:") => ErrorKind::Busy,
        "NoSuchEntity" | "NotFound" | "ResourceNotFound" => ErrorKind::NotFound,
        "EntityAlreadyExists" | "ResourceInUse" | "ResourceExists" => ErrorKind::AlreadyExists,
        "DeleteConflict" => ErrorKind::InUse,
        "ConcurrentModification" | "EntityTemporarilyUnmodifiable" => ErrorKind::Busy,
        // A trust policy is written by this crate, so that only a principal can be wrong: one that was made moments ago.
        "MalformedPolicyDocument" if is_trust(action) => ErrorKind::Propagating,
        // "The specified principalArn is invalid: invalid principal.": a role made moments ago. Other words are waited for, too.
        "InvalidParameter" if action == "eks:CreateAccessEntry" && !is_final_parameter(message) => {
            ErrorKind::Propagating
        }
        "InvalidParameter" if message.contains("invalid principal") => ErrorKind::Propagating,
        "Throttling" | "RequestLimitExceeded" | "TooManyRequests" | "RequestThrottled" => ErrorKind::Throttled,
        "AccessDenied" | "UnauthorizedOperation" | "Forbidden" => ErrorKind::Denied,
        "LimitExceeded" | "ResourceLimitExceeded" | "ServiceQuotaExceeded" => ErrorKind::Quota,
        _ if status == 429 => ErrorKind::Throttled,
        _ if status >= 500 => ErrorKind::Unknown,
        _ => ErrorKind::Invalid,
    }
}

fn is_read_of_entry(action: &str) -> bool {
    matches!(action, "eks:DescribeAccessEntry" | "eks:ListAccessEntries" | "eks:ListAssociatedAccessPolicies")
}

fn is_trust(action: &str) -> bool {
    matches!(action, "iam:CreateRole" | "iam:UpdateAssumeRolePolicy")
}

/// Returns true for the words about a request that no wait makes valid, such as `This operation can only be performed on
/// Access Entries with a type of "STANDARD".` (aws-controllers-k8s/community#2144). Other words are waited for, because a
/// wait ends.
fn is_final_request(message: &str) -> bool {
    ["type of", "only be performed"].iter().any(|words| message.contains(words))
}

/// Returns true for the words about a username or a group that no wait makes valid.
fn is_final_parameter(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["username", "group", "type"].iter().any(|words| message.contains(words))
}

/// The outcome of removing something: that it is gone already is what was wanted.
pub(crate) fn ignore_not_found<T>(result: Result<T, CallError>) -> Result<(), CallError> {
    match result {
        Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_of_its_kind_in_whatever_words_it_comes() {
        use ErrorKind::{Busy, Invalid, NotFound, Propagating};
        let standard = "This operation can only be performed on Access Entries with a type of \"STANDARD\".";
        let scope = "Scope ARN: arn:aws:iam::111122223333:policy/b does not exist or is not attachable.";
        for (action, code, message, status, kind) in [
            (
                "secretsmanager:GetSecretValue",
                "InvalidRequestException",
                "You can't perform this operation on the secret because it was deleted.",
                400,
                NotFound,
            ),
            ("secretsmanager:GetSecretValue", "InvalidRequestException", "it is marked for deletion", 400, NotFound),
            ("secretsmanager:GetSecretValue", "InvalidRequestException", "gr\u{fc}n", 400, NotFound),
            ("secretsmanager:CreateSecret", "InvalidRequestException", "it was deleted", 400, Busy),
            ("secretsmanager:CreateSecret", "InvalidRequestException", "gr\u{fc}n", 400, Busy),
            ("iam:PutRolePermissionsBoundary", "NoSuchEntity", scope, 404, Invalid),
            ("iam:CreateRole", "NoSuchEntity", scope, 404, Invalid),
            ("iam:CreateRole", "NoSuchEntity", "gr\u{fc}n", 404, Invalid),
            ("iam:AttachRolePolicy", "NoSuchEntity", "Policy arn:p does not exist or is not attachable.", 404, Invalid),
            ("iam:CreateRole", "MalformedPolicyDocument", "gr\u{fc}n", 400, Propagating),
            ("iam:UpdateAssumeRolePolicy", "MalformedPolicyDocument", "Invalid principal in policy", 400, Propagating),
            ("iam:PutRolePolicy", "MalformedPolicyDocument", "Syntax errors in policy.", 400, Invalid),
            ("eks:DescribeAccessEntry", "InvalidRequestException", "gr\u{fc}n", 400, Busy),
            ("eks:UpdateAccessEntry", "InvalidRequestException", "gr\u{fc}n", 400, Busy),
            ("eks:AssociateAccessPolicy", "InvalidRequestException", standard, 400, Invalid),
            ("eks:CreateAccessEntry", "InvalidParameterException", "gr\u{fc}n", 400, Propagating),
            (
                "eks:CreateAccessEntry",
                "InvalidParameterException",
                "The username must not begin with system:",
                400,
                Invalid,
            ),
        ] {
            assert_eq!(classify(action, code, message, status), kind, "{action} {code} {message}");
        }
    }

    /// Answers of the services as others have recorded or quoted them: cloud-custodian's `tests/data/placebo`,
    /// terraform-provider-aws#35535 and `secret.go`, terraform-aws-eks#2915, aws-ia/terraform-aws-eks-blueprints#1920,
    /// kubeflow/kubeflow#6687, jenkinsci/aws-secrets-manager-credentials-provider-plugin#74.
    #[test]
    fn recorded_answers_are_of_their_kind() {
        use ErrorKind::{AlreadyExists, Busy, Denied, InUse, Invalid, NotFound, Propagating, Quota, Throttled};
        let no_entry = "The specified principalArn could not be found. You can view your available access entries with \
                        'list-access-entries'.";
        let denied = "User: arn:aws:sts::111122223333:assumed-role/r/s is not authorized to perform: iam:DeleteRole";
        let scheduled =
            "You can't create this secret because a secret with this name is already scheduled for deletion.";
        for (action, code, message, status, kind) in [
            ("iam:GetRole", "NoSuchEntity", "The role with name r cannot be found.", 404, NotFound),
            (
                "iam:GetOpenIDConnectProvider",
                "NoSuchEntity",
                "OpenIDConnect Provider not found for arn arn:p",
                404,
                NotFound,
            ),
            ("iam:DeleteRole", "DeleteConflict", "Cannot delete entity, must detach all policies first.", 409, InUse),
            ("iam:DeleteRole", "AccessDenied", denied, 403, Denied),
            ("iam:CreateRole", "EntityAlreadyExists", "Role with name r already exists.", 409, AlreadyExists),
            ("iam:UpdateAssumeRolePolicy", "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048", 409, Quota),
            ("iam:GetRole", "Throttling", "Rate exceeded", 400, Throttled),
            ("eks:CreateAccessEntry", "ResourceNotFoundException", "No cluster found for name: c.", 404, Invalid),
            (
                "eks:CreateAccessEntry",
                "ResourceInUseException",
                "The specified access entry resource is already in use on this cluster.",
                409,
                AlreadyExists,
            ),
            (
                "eks:CreateAccessEntry",
                "InvalidParameterException",
                "The specified principalArn is invalid: invalid principal.",
                400,
                Propagating,
            ),
            (
                "eks:CreateAccessEntry",
                "InvalidParameterException",
                "The kubernetes group name system:masters is invalid, it cannot start with system:",
                400,
                Invalid,
            ),
            ("eks:DescribeAccessEntry", "ResourceNotFoundException", no_entry, 404, NotFound),
            ("eks:AssociateAccessPolicy", "ResourceNotFoundException", no_entry, 404, Propagating),
            (
                "secretsmanager:GetSecretValue",
                "ResourceNotFoundException",
                "Secrets Manager can't find the specified secret.",
                400,
                NotFound,
            ),
            ("secretsmanager:CreateSecret", "InvalidRequestException", scheduled, 400, Busy),
        ] {
            assert_eq!(classify(action, code, message, status), kind, "{action} {code} {message}");
        }
    }
}
