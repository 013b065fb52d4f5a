//! Plans of access entries as people read them.

use insta::assert_snapshot;

use super::laws::{NOW, declared, new_role, outlived, spec};
use crate::laws::{after, owner, plan_text};
use crate::resources::eks_access_entry::{AccessEntries, Desired, Observed, PolicyScope};

#[test]
fn an_access_entrys_plans_read_well() {
    let owner = owner("Entry");
    let plan =
        |desired: Option<&Desired>, observed: Option<&Observed>| plan_text::<AccessEntries>(&owner, desired, observed);
    let in_namespace = |name: &str| PolicyScope::Namespaces([name.to_owned()].into());
    let first = declared(spec(Some(&["g1"]), Some(&[("view", PolicyScope::Cluster)])));
    let entry = after::<AccessEntries>(&owner, Some(&first), None).expect("an entry");
    assert_snapshot!(plan(Some(&first), None), @r##"
    create a STANDARD entry for arn:aws:iam::123456789012:role/ci/deploy in prod with username none, groups g1, tags github-trust:groups=3lkgticb, github-trust:logical-id=Entry, github-trust:policies=bbaauygl, github-trust:role-id=AROA1 da5p3iqlchggxgzuguiv, github-trust:stack-id=arn:aws:cloudformation:us-east-1:123456789012:stack/laws/1
    associate view with the whole cluster
    "##);
    let narrower = declared(spec(Some(&["g2"]), Some(&[("view", in_namespace("n1"))])));
    assert_snapshot!(plan(Some(&narrower), Some(&entry)), @r##"
    tag github-trust:groups=3lkgticbzy37jrum
    associate view with namespaces n1
    set groups g2
    tag github-trust:groups=zy37jrum
    "##);
    let made_again = Desired { role: Some(new_role()), ..declared(spec(Some(&["g1"]), None)) };
    assert!(new_role().created < NOW);
    assert_snapshot!(plan(Some(&made_again), Some(&outlived(&entry))), @r##"
    remember the STANDARD entry with username arn:aws:sts::123456789012:assumed-role/deploy/{{SessionName}}, groups g1, policies none, tags github-trust:groups=3lkgticb, github-trust:logical-id=Entry, github-trust:role-id=AROA2 da5p3iqlchggxgzuguiv, github-trust:stack-id=arn:aws:cloudformation:us-east-1:123456789012:stack/laws/1
    note that what is remembered of the entry is to be made again
    delete the entry, which is bound to a role that is no more
    create a STANDARD entry for arn:aws:iam::123456789012:role/ci/deploy in prod with username none, groups g1, tags github-trust:groups=3lkgticb, github-trust:logical-id=Entry, github-trust:restoring=true, github-trust:role-id=AROA2 da5p3iqlchggxgzuguiv, github-trust:stack-id=arn:aws:cloudformation:us-east-1:123456789012:stack/laws/1
    note that the entry is whole again
    forget what was remembered of the entry
    "##);
    assert_snapshot!(plan(None, Some(&entry)), @"delete the entry");
}
