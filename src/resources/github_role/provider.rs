//! The provider that a trust policy names. IAM does not document that it refuses a policy whose provider does not exist, so
//! that the provider is looked for besides: no job could assume such a role. Nor could one of an audience that the provider does
//! not take.

use futures_util::future::join;

use super::named::named;
use super::trust_declaration::TrustDeclaration;
use super::{GitHubRoles, Observed};
use crate::aws::{Backoff, CallError, Deadline, ErrorKind, PROPAGATION, iam};
use crate::iam_policy::trust_policy::TrustPolicy;

impl GitHubRoles {
    /// Returns the warning about an audience that the provider does not take; empty if there is none, or if IAM does not
    /// answer. The provider may get the audience later.
    pub(super) async fn untaken_audience(&self, declaration: &TrustDeclaration) -> String {
        let TrustDeclaration { provider_arn, audience, .. } = declaration;
        let found = iam::client_ids(&self.iam, &self.deadline.once(), provider_arn).await;
        self.provider_shown.set(found.as_ref().ok().map(Option::is_some));
        let Ok(Some(mut client_ids)) = found else { return String::new() };
        if client_ids.contains(audience) {
            return String::new();
        }
        client_ids.sort();
        let taken = if client_ids.is_empty() { "no audience".to_owned() } else { named(&client_ids, ", ", " and ") };
        format!(
            "The provider takes {taken}, and not {audience}, the role's `Audience`: no job can assume the role before the \
             provider has that in its `ClientIdList`"
        )
    }

    /// Returns the warning about a provider that the role trusts already and that is gone. One that a role comes to trust may
    /// be made before that.
    pub(super) fn gone_provider(&self, desired: &TrustPolicy, observed: &Observed) -> Option<String> {
        let TrustPolicy { provider_arn, .. } = desired;
        let trusts_it = TrustPolicy::read(&observed.trust).is_some_and(|trust| trust.provider_arn == *provider_arn);
        (trusts_it && self.provider_shown.get() == Some(false)).then(|| {
            format!(
                "There is no provider {provider_arn} in this account: no job can assume the role before a \
                 Custom::GitHubOidcProvider is declared for its issuer"
            )
        })
    }

    /// Makes a call that names the provider. One that is not there is not waited for where IAM refuses it.
    pub(super) async fn with_provider<T>(
        &self,
        trust: &TrustPolicy,
        call: impl AsyncFn(Deadline) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let looked = async { self.provider_shown.get() != Some(true) && self.lacks_provider(trust).await };
        let (called, is_missing) = join(call(self.deadline.soon()), looked).await;
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
        matches!(iam::client_ids(&self.iam, &self.deadline, &trust.provider_arn).await, Ok(None))
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
            backoff.announce(&trust.provider_arn, "IAM does not show the provider yet", PROPAGATION);
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
