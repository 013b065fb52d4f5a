//! The faults that the product must survive, one test or more for each: `row_NN_` and then, as a sentence, what must come
//! of it. The number is the fault's; [`FAULTS`] says which it is, and `docs/reliability.md` shows both as a table.

mod answers;
mod audit;
mod authorization;
mod changes;
mod deliveries;
mod doubtful_ids;
mod entry_recreation;
mod entry_role_makers;
mod entry_type_change;
mod fixtures;
mod growth;
mod hand_over;
mod hostile;
mod interposed;
mod limits;
mod log_lines;
mod owners;
mod ownership;
mod refusals;
mod requests;
mod role_repairs;
mod rotation;
mod services;
mod table;
mod taken_secrets;

/// What may go wrong.
const FAULTS: [&str; 38] = [
    "The process is killed before or after any outbound call of a Create, Update or Delete, and the event comes again.",
    "It is killed in all three attempts; then CloudFormation sends a Delete with an id of its own making.",
    "The same event comes twice, one after the other.",
    "The same event comes twice at once, in two processes.",
    "A Delete arrives while the Create still runs.",
    "A Delete comes with an id that was never ours.",
    "A Delete follows a Create that failed.",
    "A Create finds an object of that name that is not ours.",
    "Two stacks share a provider, and one of them is deleted.",
    "An event starts after its request has expired.",
    "An Update fails half way.",
    "A rollback brings the properties of an older version.",
    "A replacement is followed by the Delete of the old id.",
    "The state was changed by hand, or a step of a rollback was skipped.",
    "Every call hangs.",
    "The answer's PUT meets 403, 5xx, a reset, slowness, or hangs.",
    "The reason or the attributes are huge, or of many bytes a character.",
    "Some calls, or all, are throttled.",
    "A 5xx or a time-out comes after the service has done it.",
    "A new role or provider is not yet visible to EKS or IAM for 90 s.",
    "Reads are stale or say `NoSuchEntity` for 60 s after a creation.",
    "`ConcurrentModification` on any changing call.",
    "`DeleteConflict`: something was attached to a role meanwhile.",
    "A quota is reached.",
    "`AccessDenied` half way.",
    "The cluster is being created or deleted, is gone, or has no access entries.",
    "The role behind an entry was made again.",
    "There are more than a hundred associations, or an empty page with a token.",
    "Scalars as strings, null, unknown or misspelt properties, 200-deep JSON, an event of 1 MB, missing members.",
    "A `ResponseURL` with another host, http, a port, user information or an address, or one that redirects.",
    "An issuer that resolves to an internal address, redirects, answers without end or a byte a second.",
    "An issuer whose TLS chain is expired, self-signed, of an unknown CA, out of order, cross-signed …",
    "An openid-configuration with another issuer, or a `jwks_uri` that is http, absent or on another host.",
    "A thumbprint rotation beside an update, beside another one, or killed half way.",
    "A panic anywhere.",
    "A warm process: what the last invocation left.",
    "The tags of a new or adopted object do not count for authorization yet, for some calls or up to 40 s.",
    "A call on an object that is gone is denied, because it has no tags.",
];

/// Faults that belong to what is not built yet.
const NOT_YET: [(usize, &str); 0] = [];
