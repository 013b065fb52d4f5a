mod docs_table;
mod laws;
mod plans;
mod subvectors;
mod trust_proptest;
