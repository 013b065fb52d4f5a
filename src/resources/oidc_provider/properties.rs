//! Properties of an OIDC provider, as the author of a template declares them.

use crate::cloudformation::property_handle::{Integer, ObjectType, Objects, Texts, object_type};
use crate::cloudformation::schema::{Count, Property, ResourceSchema, TEXT, Text, Update};
use crate::ownership::tags_property::{self as tags, Tag};

use super::{CLIENT_ID_LIMIT, DEFAULT_CLIENT_ID, SERVICE_TIMEOUT, TAG_LIMIT};

pub(super) const SCHEMA: ResourceSchema = ResourceSchema {
    name: "Custom::GitHubOidcProvider",
    doc: "The IAM OIDC provider of a GitHub issuer, with thumbprints of verified certificates that follow the issuer. An \
          account has one provider for each issuer, so stacks share it. The last stack deletes it, unless it was there \
          before or a role still trusts it.",
    guide: "oidc-provider",
    object: Properties::OBJECT,
    reference: "the provider's ARN, such as `arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com`",
    attributes: &[
        ("Arn", "The provider's ARN."),
        ("Url", "The issuer's URL."),
        ("Issuer", "The URL without `https://`, as condition keys begin."),
        ("ThumbprintList", "The provider's thumbprints, separated by commas."),
        (
            "ThumbprintUse",
            "`Fallback`: IAM uses the thumbprints only if it cannot verify the issuer with its own list of CAs. `InUse`: \
             it uses them each time, for a private CA. `Unknown`: those of an Enterprise Server are pinned.",
        ),
    ],
};

pub(super) const THUMBPRINT_EXPECTED: &str = "40 hexadecimal digits, the SHA-1 of a certificate without colons";

object_type! {
    /// Properties of an OIDC provider.
    pub Properties => {
        URL: Text = Property::text(
            "Url",
            TEXT.at_most(255),
            "the URL of a GitHub issuer",
            "The issuer: `https://token.actions.githubusercontent.com` (github.com), the same with `/<enterprise>` (an \
             enterprise's own issuer), `https://token.actions.<subdomain>.ghe.com` (GHE.com, also with `/<enterprise>`) or `https://<host>/_services/token` \
             (Enterprise Server).",
        )
        .default("https://token.actions.githubusercontent.com")
        .update(Update::Replacement);
        CLIENT_ID_LIST: Texts = Property::texts(
            "ClientIdList",
            TEXT.at_most(255),
            Count::some(CLIENT_ID_LIMIT, "client ids"),
            "1 to 255 characters",
            "The audiences that tokens may be for. Every owner of the provider gets its own. An owner that leaves \
             removes those that no other owner needs.",
        )
        .default(DEFAULT_CLIENT_ID);
        THUMBPRINT_LIST: Texts = Property::texts(
            "ThumbprintList",
            TEXT.matching("^[0-9A-Fa-f]{40}$"),
            Count::some(5, "thumbprints (leave it out to have them verified and rotated)"),
            THUMBPRINT_EXPECTED,
            "Pins the thumbprints: the function does not look at the issuer's certificates, and rotates nothing. Leave \
             it out to have them verified and rotated.",
        );
        CA_CERTIFICATE: Text = Property::text(
            "CaCertificate",
            TEXT,
            "1 to 5 certificates in PEM",
            "One to five certificates in PEM, of at most 3000 bytes together, with which an Enterprise Server's \
             certificates are verified. Not together with `ThumbprintList`. By default the public CAs are used.",
        );
        ON_EXISTING: Text = Property::choice(
            "OnExisting",
            &["Share", "Fail"],
            "`Share` joins a provider that is there already, also one that somebody else made. `Fail` refuses it, unless \
             this resource is an owner already.",
        )
        .default("Share");
        DELETION_MODE: Text = Property::choice(
            "DeletionMode",
            &["WhenUnused", "Retain"],
            "`WhenUnused` deletes the provider with its last owner, if one of these stacks made it and no role in the \
             account trusts it. With `Retain` it stays.",
        )
        .default("WhenUnused");
        // Deleting a shared provider waits until the claims of others must have become visible.
        SERVICE_TIMEOUT: Integer = Property::integer(
            "ServiceTimeout",
            SERVICE_TIMEOUT,
            3600,
            "seconds, because its deletion takes up to four minutes",
            "The seconds that CloudFormation waits for an answer. The deletion of a provider takes up to four minutes.",
        )
        .default("3600");
        TAGS: Objects<Tag> = tags::property(TAG_LIMIT, "Tags of the provider, beside those that record its owners.");
    }
}
