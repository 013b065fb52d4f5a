mod laws;
mod parse;
