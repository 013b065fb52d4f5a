//! One test for each fault: `row_NN_` and then, as a sentence, what must come of it.

mod deliveries;
mod scene;
