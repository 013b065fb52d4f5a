//! Plans of roles as people read them.

use insta::assert_snapshot;

use super::laws::desired;
use crate::laws::{after, owner, plan_text};
use crate::resources::github_role::GitHubRoles;

#[test]
fn a_roles_plans_read_well() {
    let owner = owner("Role");
    let plan = |desired, observed| plan_text::<GitHubRoles>(&owner, desired, observed);
    let first = desired(&["a"], Some("b1"), &["m1"], &[("i", "d1")]);
    let role = after::<GitHubRoles>(&owner, Some(&first), None);
    assert_snapshot!(plan(Some(&first), None), @r##"
    create role /role for [repo:o/r:a] with boundary b1, tags github-trust:inline-policies=pj5rzln3, github-trust:logical-id=Role, github-trust:managed-policies=rbdvpwx4, github-trust:settings=PermissionsBoundary=jhd5hzpbssdxa Policies=jz274ziwpuuay Trust=xhwnuwya5hu5u, github-trust:stack-id=arn:aws:cloudformation:us-east-1:123456789012:stack/laws/1
    attach m1; put inline policy i
    "##);
    assert_snapshot!(plan(Some(&first), role.as_ref()), @"nothing");
    let wider = desired(&["a", "b"], Some("b1"), &["m2"], &[("i", "d1")]);
    assert_snapshot!(plan(Some(&wider), role.as_ref()), @r##"
    tag github-trust:managed-policies=rbdvpwx4wfmpkctg, github-trust:settings=PermissionsBoundary=jhd5hzpbssdxa Policies=jz274ziwpuuay Trust=dkunclxjmrrz6
    attach m2
    detach m1
    trust [repo:o/r:a, repo:o/r:b]
    tag github-trust:managed-policies=wfmpkctg
    "##);
    let other_boundary = desired(&["a"], Some("b2"), &["m1"], &[("i", "d2")]);
    assert_snapshot!(plan(Some(&other_boundary), role.as_ref()), @r##"
    tag github-trust:settings=PermissionsBoundary=itwfxeh5q7u5m Policies=g4kj6gcsw2ufb Trust=xhwnuwya5hu5u
    delete inline policy i
    set boundary b2
    put inline policy i
    "##);
    assert_snapshot!(plan(None, role.as_ref()), @r##"
    detach m1; delete inline policy i
    delete the role
    "##);
}
