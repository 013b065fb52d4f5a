mod docs_table;
mod laws;
mod plans;
mod public_templates;
mod subvectors;
mod trust_proptest;
