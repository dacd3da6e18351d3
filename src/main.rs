//! goldsmith.

fn main() {}
