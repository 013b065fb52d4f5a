//! Plans of providers as people read them.

use insta::assert_snapshot;

use super::laws::{desired, foreign, seen};
use crate::laws::{after, owner, plan_text};
use crate::resources::oidc_provider::{Desired, OidcProviders};

#[test]
fn a_providers_plans_read_well() {
    let (us, other) = (owner("Provider"), owner("Other"));
    let plan = plan_text::<OidcProviders>;
    let first = desired(&["sts.amazonaws.com"], None, &[]);
    let alone = after::<OidcProviders>(&us, Some(&first), None);
    assert_snapshot!(plan(&us, Some(&first), None), @r##"create a provider for https://token.actions.githubusercontent.com with client ids sts.amazonaws.com, thumbprints v1, tags github-trust:made-by=us-east-1/laws/Provider, github-trust:owner:6sm7dpvztau4u4bc=c=w7zxg t= i=123456789012/1 us-east-1/laws/Provider"##);
    assert_snapshot!(plan(&us, Some(&first), Some(&foreign())), @r##"
    tag github-trust:found=4sdcahmmw7, github-trust:owner:6sm7dpvztau4u4bc=c=w7zxg t= i=123456789012/1 us-east-1/laws/Provider
    add client id sts.amazonaws.com
    "##);
    let shared = after::<OidcProviders>(&other, Some(&desired(&["other"], None, &[])), alone.clone());
    assert_snapshot!(plan(&other, None, shared.as_ref()), @r##"
    remove client id other
    untag github-trust:owner:g6v6jzwknykkinnf
    "##);
    let look = Desired::Maintained(seen(&["v2"], 1));
    assert_snapshot!(plan(&us, Some(&look), alone.as_ref()), @r##"tag github-trust:candidates=v2@2024-10-05T00:00:00Z, github-trust:unseen=v1@2024-10-05T00:00:00Z"##);
    assert_snapshot!(plan(&us, None, alone.as_ref()), @"delete the provider");
}
