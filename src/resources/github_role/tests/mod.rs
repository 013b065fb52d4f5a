mod docs_table;
mod laws;
mod subvectors;
mod trust_proptest;
