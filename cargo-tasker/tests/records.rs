//! What is read out of a binary is what the running program says of itself: debug, and release with LTO and strip, across crates.

mod support;

use serde_json::Value as Json;
use support::{Project, dependency, program};

/// A workspace of three crates that use everything there is.
fn workspace(name: &str) -> Project {
    let project = Project::new(name);
    project.write(
        "Cargo.toml",
        "[workspace]\nresolver = \"3\"\nmembers = [\"app\", \"pay\", \"ship\"]\n\n[profile.small]\ninherits = \"release\"\nlto = \"fat\"\nstrip = true\ncodegen-units = 1\npanic = \"abort\"\nopt-level = 1\n",
    );
    let tasker = dependency(", default-features = false");
    for (krate, more) in [
        ("app", "pay = { path = \"../pay\" }\nship = { path = \"../ship\" }\nserde_json = \"1\"\n"),
        ("pay", ""),
        ("ship", ""),
    ] {
        let manifest = format!(
            "[package]\nname = \"{krate}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n{tasker}\nserde = {{ version = \"1\", features = [\"derive\"] }}\n{more}"
        );
        project.write(&format!("{krate}/Cargo.toml"), &manifest);
    }
    project.write("pay/src/lib.rs", PAY);
    project.write("ship/src/lib.rs", SHIP);
    project.write("app/src/main.rs", APP);
    project
}

const PAY: &str = r#"#![forbid(unsafe_code)]
use tasker_telemetry::prelude::*;

/// A payment needs a human.
///
/// Says "look", \ and ä€😀.
#[derive(Serialize, Event)]
#[event("payment.risk_flagged")]
pub struct RiskFlagged {
    /// Our | payment number.
    pub payment_id: String,
    pub risk_score: Option<f64>,
    #[event(sensitive)]
    pub card_number: String,
    #[serde(rename = "kind")]
    pub r#type: std::collections::BTreeMap<String, Vec<u8>>,
}

const TRIES: u32 = 1_000_000;
const GENTLE: Backoff = Backoff::exponential().base(std::time::Duration::from_millis(5));

/// Charges a card.
#[step(name = "charge", retry_limit = TRIES, backoff = GENTLE, publishes(RiskFlagged, nested::Opened), fields(amount = cents, id))]
pub async fn process_payment(id: u64, cents: u64) -> Result<u64, String> {
    let _ = id;
    Ok(cents)
}

pub mod nested {
    use tasker_telemetry::prelude::*;

    #[derive(Serialize, Event)]
    #[event("payment.opened")]
    pub struct Opened;

    pub struct Gateway<T>(pub T);

    impl<T: Copy> Gateway<T> {
        /// Never called, never instantiated.
        #[step(retry_limit = 3, backoff = "fixed")]
        pub fn ping(&self, n: u8) -> Result<u8, String> {
            Ok(n)
        }
    }

    pub trait Handler {
        #[step(name = "handler.run")]
        fn run(&self) {}
    }

    macro_rules! made {
        ($($name:ident)*) => { $(#[step] pub fn $name() {})* };
    }
    made!(made_a made_b);

    #[allow(dead_code)]
    fn outer() {
        #[step(name = "inner/step")]
        fn inner() {}
        inner();
    }
}
"#;

const SHIP: &str = r#"#![forbid(unsafe_code)]
use tasker_telemetry::prelude::*;

static PARCELS: Counter<2> = Counter::with_labels("ship.parcels", "Parcels that \"left\".", ["country", "size"]);
static WEIGHT: Histogram = Histogram::new("ship_weight", "How heavy.").unit("grams");
tasker_telemetry::register_metrics!(PARCELS, WEIGHT);
tasker_telemetry::declare_event!("ship.line_skipped", "A line with \"quotes\"\nand a break.");

#[derive(Default, Subscriber)]
#[subscribe("task.*", "ship.line_skipped", pay_event::Sent)]
#[subscriber(inline)]
pub struct Watch;
impl Watch {
    fn handle_event(&self, _: &EventRecord) {}
    fn handle_ship_line_skipped(&self, _: &EventRecord) {}
    fn handle_sent(&self, _: &pay_event::Sent) {}
}

pub mod pay_event {
    use tasker_telemetry::prelude::*;
    #[derive(Serialize, Event)]
    #[event("ship.sent", )]
    pub struct Sent { pub at: std::time::SystemTime }
}
"#;

const APP: &str = r#"#![forbid(unsafe_code)]
use tasker_telemetry::prelude::*;

tasker_telemetry::link!(ship);

const AT_ONCE: u32 = 7;

/// Everything.
#[task(max_concurrent_steps = AT_ONCE, publishes(pay::RiskFlagged))]
async fn order_process(id: u64) -> Result<u64, String> {
    pay::process_payment(id, 5).await
}

#[derive(Default, Subscriber)]
#[subscribe("step.failed", "payment.risk_flagged")]
struct OnCall;
impl OnCall {
    fn handle_step_failed(&self, _: &event::step::Failed) {}
    fn handle_payment_risk_flagged(&self, _: &pay::RiskFlagged) {}
}

fn main() {
    drop(order_process(1));
    println!("{}", tasker_telemetry::Catalog::json());
}
"#;

/// Steps and tasks know the module when the program runs, and the crate alone when it does not.
fn without_modules(mut catalog: Json) -> Json {
    fn walk(json: &mut Json) {
        match json {
            Json::Array(items) => items.iter_mut().for_each(walk),
            Json::Object(fields) => {
                if let Some(Json::String(module)) = fields.get_mut("module") {
                    *module = module.split("::").next().unwrap().to_owned();
                }
                fields.values_mut().for_each(walk);
            }
            _ => {}
        }
    }
    walk(&mut catalog);
    // Which handler runs a step is the running program's to know, too.
    if let Some(fields) = catalog.as_object_mut() {
        fields.remove("handlers");
    }
    catalog
}

#[test]
fn the_binary_says_what_the_program_says() {
    let project = workspace("records");
    for (profile, folder) in [("dev", "debug"), ("small", "small")] {
        project.cargo(&["build", "-q", "--profile", profile]).ok();
        let program = program(folder, "app");
        let said = std::process::Command::new(&program).output().unwrap();
        let said: Json = serde_json::from_slice(&said.stdout).unwrap();
        let read = project.tasker(&["catalog", program.to_str().unwrap(), "--format", "json"]).ok();
        assert_eq!(read.err, "");
        let read = read.json();
        assert_eq!(without_modules(read.clone()), without_modules(said), "{profile}");
        let steps: Vec<_> =
            read["steps"].as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap()).collect();
        assert_eq!(steps, ["charge", "handler.run", "inner/step", "made_a", "made_b", "ping"], "{profile}");
        assert_eq!(
            (&read["steps"][0]["retry_limit"], &read["tasks"][0]["max_concurrent_steps"]),
            (&1_000_000.into(), &7.into())
        );
        assert_eq!(read["events"].as_array().unwrap().len(), 24 + 4);
    }

    // Built by the command itself, from the folder of the workspace: the one package with a program is meant.
    let built = project.tasker(&["catalog", "--format", "json"]).ok().json();
    assert_eq!(built["tasks"][0]["name"], "order_process");

    // A library has its own part, and says so by what it leaves out.
    let library = project.tasker(&["catalog", "--package", "pay", "--format", "json"]).ok().json();
    assert_eq!(library["steps"].as_array().unwrap().len(), 6);
    assert_eq!(library["tasks"].as_array().unwrap().len(), 0);

    let table = project.tasker(&["catalog", "--search", "HUMAN"]).ok();
    assert!(table.out.contains("payment.risk_flagged") && !table.out.contains("task.failed"), "{}", table.out);
    let within = project.tasker(&["catalog", "--namespace", "ship", "--format", "json"]).ok().json();
    let names: Vec<_> =
        within["events"].as_array().unwrap().iter().map(|event| event["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ship.line_skipped", "ship.sent"]);
    let custom = project.tasker(&["catalog", "--category", "custom", "--format", "json"]).ok().json();
    assert_eq!(custom["events"].as_array().unwrap().len(), 4);
    assert!(project.tasker(&["catalog", "--category", "customs"]).ended(2).err.contains("custom"));
    assert!(project.tasker(&["catalog", "--package", "nobody"]).ended(2).err.contains("app, pay, ship"));
}
