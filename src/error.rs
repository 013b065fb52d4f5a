//! Errors are data. Each says its own level only; the chain is put together once, in the reason that the reader of a
//! stack event sees.

use std::error::Error as StdError;
use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::cloudformation::Malformed;
use crate::cloudformation::properties::Problems;

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request itself is broken.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The template's author made mistakes.
    #[error("{resource_type}: {problems}")]
    Properties {
        /// The kind whose properties they are.
        resource_type: &'static str,
        /// All of them.
        problems: Problems,
    },
    /// No kind of that name.
    #[error("unknown resource type `{found}`; {}", match nearest { Some(name) => format!("did you mean `{name}`?"), None => format!("this function handles {}", known.join(", ")) })]
    UnknownType {
        /// What the template says.
        found: String,
        /// The kind that looks most like it.
        nearest: Option<&'static str>,
        /// All kinds.
        known: Vec<&'static str>,
    },
    /// What was found cannot become what is wanted.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What only somebody outside AWS knows could not be found out.
    #[error("{what}. {remedy}")]
    Unknowable {
        /// What is not known, and why.
        what: String,
        /// What the author can do.
        remedy: String,
    },
    /// A call to AWS failed for good.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A plan for something desired ended with nothing there. A law of the kinds rules this out.
    #[error("{0} is not there although everything was done to make it")]
    Vanished(String),
    /// What exists kept changing under our hands.
    #[error("{attempts} attempts found the state changed by somebody else each time; the last one failed with: {last}")]
    Unsettled {
        /// How often we looked.
        attempts: u32,
        /// What the last attempt ran into.
        last: CallError,
    },
}

/// What was found cannot, or must not, become what is wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Somebody else's object has the name.
    #[error("{what} exists already and is not owned by this resource ({owner}); it was left untouched. {remedy}")]
    Foreign {
        /// The object.
        what: String,
        /// Who owns it, as far as its tags tell.
        owner: String,
        /// What the author can do.
        remedy: &'static str,
    },
    /// AWS cannot change this in place.
    #[error("{what} cannot be changed from {from:?} to {to:?} in place. {remedy}")]
    Immutable {
        /// The property and the object.
        what: String,
        /// What is there.
        from: String,
        /// What is wanted.
        to: String,
        /// What the author can do.
        remedy: &'static str,
    },
    /// The surroundings do not allow it.
    #[error("{what}{}{remedy}", if remedy.is_empty() { "" } else { ". " })]
    Unfit {
        /// What is wrong.
        what: String,
        /// What the author can do.
        remedy: String,
    },
}

/// What a failed call means for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The object is not there, or not yet visible.
    NotFound,
    /// The object is there already.
    AlreadyExists,
    /// Something still hangs on the object.
    InUse,
    /// Another change is in progress; the same call will succeed later.
    Busy,
    /// What the call refers to was made moments ago; the same call will succeed later.
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
    /// What it was called on.
    pub resource: String,
    /// What the failure means.
    pub fault: Fault,
    /// The service's error code, or what kept the call from being answered.
    pub code: String,
    /// The service's own words.
    pub message: String,
    /// The service's request id.
    pub request_id: Option<String>,
    /// Whether an earlier attempt at the same call ended unknown, so that it may have been carried out all the same.
    pub uncertain: bool,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, resource, fault, code, message, request_id, uncertain: _ } = self;
        write!(f, "{action} on {resource} ")?;
        match fault {
            Fault::Denied if action.starts_with("github:") => write!(f, "was denied ({code})")?,
            Fault::Denied => write!(f, "was denied: allow it in the policy of the function's role ({code})")?,
            Fault::Throttled => write!(f, "was throttled until the time was up ({code})")?,
            Fault::TimeUp => write!(f, "was not started, because the time was up")?,
            Fault::Quota => write!(f, "passes a quota of the account ({code})")?,
            Fault::Propagating => write!(f, "did not see a new object in time ({code})")?,
            Fault::Unknown => write!(f, "got no usable answer ({code})")?,
            Fault::NotFound | Fault::AlreadyExists | Fault::InUse | Fault::Busy | Fault::Invalid => {
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
    /// The call was not made, because there is no time for it any more.
    pub fn time_up(action: &'static str, resource: impl fmt::Display) -> Self {
        let (code, message) = (String::new(), String::new());
        Self {
            action,
            resource: resource.to_string(),
            fault: Fault::TimeUp,
            code,
            message,
            request_id: None,
            uncertain: false,
        }
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
            SdkError::ResponseError(_) => ("ResponseError".to_owned(), String::new()),
            other => ("RequestError".to_owned(), innermost(other.source())),
        };
        let status = error.raw_response().map(|response| response.status().as_u16());
        let fault = match error {
            SdkError::ServiceError(_) => fault_of(action, &code, &message, status.unwrap_or_default()),
            SdkError::ConstructionFailure(_) => Fault::Invalid,
            _ => Fault::Unknown,
        };
        let request_id = header("x-amzn-requestid").or_else(|| header("x-amz-request-id"));
        let uncertain = fault == Fault::Unknown;
        Self { action, resource: resource.to_string(), fault, code, message, request_id, uncertain }
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
fn fault_of(action: &str, code: &str, message: &str, status: u16) -> Fault {
    match code.trim_end_matches("Exception") {
        // "Policy arn:… does not exist or is not attachable.": a managed policy, or the boundary, which nobody is about to
        // make.
        "NoSuchEntity" if action == "iam:CreateRole" => Fault::Invalid,
        "NoSuchEntity"
            if matches!(action, "iam:AttachRolePolicy" | "iam:PutRolePermissionsBoundary")
                && message.starts_with("Policy ") =>
        {
            Fault::Invalid
        }
        // terraform-provider-aws#35535: a role made seconds ago.
        "ResourceNotFound" if action == "eks:AssociateAccessPolicy" && message.contains("principalArn") => {
            Fault::Propagating
        }
        "ResourceNotFound" if action == "eks:AssociateAccessPolicy" && message.contains("policyArn") => Fault::Invalid,
        // A cluster in mode CONFIG_MAP has no access entries.
        "InvalidRequest" if message.contains("authentication mode") => Fault::NotFound,
        // A cluster takes access entries while it is updated; should one not, it does so soon.
        "InvalidRequest" if action.starts_with("eks:") && message.contains("UPDATING") => Fault::Busy,
        // Only the cluster can be missing where an entry is made.
        "ResourceNotFound" if action == "eks:CreateAccessEntry" => Fault::Invalid,
        // A secret whose deletion is under way: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html
        "InvalidRequest" if action == "secretsmanager:GetSecretValue" && message.contains("deletion") => {
            Fault::NotFound
        }
        "InvalidRequest" if action.starts_with("secretsmanager:") && message.contains("deletion") => Fault::Busy,
        "NoSuchEntity" | "NotFound" | "ResourceNotFound" => Fault::NotFound,
        "EntityAlreadyExists" | "ResourceInUse" | "ResourceExists" => Fault::AlreadyExists,
        "DeleteConflict" => Fault::InUse,
        "ConcurrentModification" | "EntityTemporarilyUnmodifiable" => Fault::Busy,
        "MalformedPolicyDocument" if message.contains("Invalid principal in policy") => Fault::Propagating,
        "InvalidParameter" if message.contains("invalid principal") => Fault::Propagating,
        "Throttling" | "RequestLimitExceeded" | "TooManyRequests" | "RequestThrottled" => Fault::Throttled,
        "AccessDenied" | "UnauthorizedOperation" | "Forbidden" => Fault::Denied,
        "LimitExceeded" | "ResourceLimitExceeded" | "ServiceQuotaExceeded" => Fault::Quota,
        _ if status == 429 => Fault::Throttled,
        _ if status >= 500 => Fault::Unknown,
        _ => Fault::Invalid,
    }
}

/// The outcome of removing something: that it is gone already is what was wanted.
pub(crate) fn gone<T>(result: Result<T, CallError>) -> Result<(), CallError> {
    match result {
        Err(error) if error.fault == Fault::NotFound => Ok(()),
        other => other.map(drop),
    }
}

/// An error and what it came from, as one sentence.
#[must_use]
pub fn rendered(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
