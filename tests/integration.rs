//! The one integration binary: one link, one run, modules by subject.

mod architecture;
mod recipe_cases;
mod el7_commands;
mod kickstart_cases;
mod kickstart_parser;
mod image_cases;
mod free_space_cases;
mod package_cases;
mod machine_cases;
mod machine_qemu;
mod cli_cases;
mod closure_cases;
mod yum_cases;
mod ci_scripts;
mod default_image;
mod deploy_cases;
mod rehearsal_cases;
mod run_cases;
mod signature_cases;
mod source_cases;
mod online_cases;
mod volume_cases;
mod faults;
mod facts;
mod fixture;
mod support;
