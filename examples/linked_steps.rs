//! Steps from another crate, and the catalog that lists them.
//!
//! The linker leaves out a crate that nobody names, and its steps and events with it. `link!` names it: without that line
//! the table below has no `invoice.written`.

use tasker_telemetry::Catalog;

tasker_telemetry::link!(shop_steps);

fn main() {
    print!("{}", Catalog::table());
    match Catalog::validate() {
        Ok(()) => println!("\nThe catalog is sound."),
        Err(problems) => problems.iter().for_each(|problem| println!("{problem}")),
    }
}
