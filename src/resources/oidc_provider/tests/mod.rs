mod laws;
mod plans;
