mod first_read;
mod laws;
mod parse;
