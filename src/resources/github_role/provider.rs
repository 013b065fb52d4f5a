//! The provider that a trust policy names. IAM does not document that it refuses a policy whose provider does not exist, so
//! that the provider is looked for besides: no job could assume such a role.

use futures_util::future::join;

use super::GitHubRoles;
use crate::aws::{Backoff, CallError, Deadline, ErrorKind, PROPAGATION};
use crate::iam_policy::trust_policy::TrustPolicy;

impl GitHubRoles {
    /// Makes a call that names the provider. One that is not there is not waited for where IAM refuses it.
    pub(super) async fn with_provider<T>(
        &self,
        trust: &TrustPolicy,
        call: impl AsyncFn(Deadline) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let (called, is_missing) = join(call(self.deadline.soon()), self.lacks_provider(trust)).await;
        let first = match called {
            Err(error) if error.kind == ErrorKind::Propagating => without_provider(error, trust),
            Ok(done) if is_missing => return self.await_provider(trust).await.map(|()| done),
            other => return other,
        };
        if self.lacks_provider(trust).await {
            return Err(CallError { kind: ErrorKind::Invalid, ..first });
        }
        call(self.deadline).await.map_err(|error| {
            let uncertain = error.uncertain || first.uncertain;
            without_provider(CallError { uncertain, ..error }, trust)
        })
    }

    /// Returns true if IAM says that the provider is not there. An error of another kind says nothing about it.
    async fn lacks_provider(&self, trust: &TrustPolicy) -> bool {
        let arn = &trust.provider_arn;
        let request = self.iam.get_open_id_connect_provider().open_id_connect_provider_arn(arn);
        let found = self.deadline.call("iam:GetOpenIDConnectProvider", arn, || request.clone().send()).await;
        found.is_err_and(|error| error.kind == ErrorKind::NotFound)
    }

    /// Waits for a provider that IAM took and does not show. It may have been made moments ago.
    async fn await_provider(&self, trust: &TrustPolicy) -> Result<(), CallError> {
        let (end, mut backoff) = (tokio::time::Instant::now() + PROPAGATION, Backoff::new());
        while self.lacks_provider(trust).await {
            let pause = backoff.pause();
            if tokio::time::Instant::now() + pause > end || !self.deadline.allows(pause) {
                let (action, arn) = ("iam:GetOpenIDConnectProvider", &trust.provider_arn);
                let missing = CallError::of(ErrorKind::Propagating, action, arn, "NoSuchEntity", "");
                // The call that named it was carried out.
                return Err(CallError {
                    kind: ErrorKind::Invalid,
                    uncertain: true,
                    ..without_provider(missing, trust)
                });
            }
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }
}

/// IAM names the principal that it does not see; the author has to know what to do about it.
fn without_provider(error: CallError, trust: &TrustPolicy) -> CallError {
    if error.kind != ErrorKind::Propagating {
        return error;
    }
    let message = format!(
        "{} (there is no provider {} in this account: declare a Custom::GitHubOidcProvider for its issuer, and let \
         `ProviderArn` refer to it)",
        error.message, trust.provider_arn
    );
    CallError { message: message.trim_start().to_owned(), ..error }
}
