mod declaration_record;
mod docs_table;
mod laws;
mod plans;
mod public_templates;
mod repairs;
mod subvectors;
mod trust_proptest;
