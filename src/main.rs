//! The program: everything it does is in [`goldsmith::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    goldsmith::cli::main(std::env::args_os())
}
