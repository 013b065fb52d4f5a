//! One test for each fault: `row_NN_` and then, as a sentence, what must come of it.

mod answers;
mod changes;
mod deliveries;
mod interposed;
mod log_lines;
mod ownership;
mod requests;
mod scene;
mod services;
