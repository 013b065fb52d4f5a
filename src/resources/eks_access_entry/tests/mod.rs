mod laws;
mod parse_eks;
mod parse_eksctl;
mod plans;
