//! A program that plants secrets wherever it can.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::{Context, KeyValue};
use secrecy::{SecretBox, SerializableSecret, zeroize::Zeroize};
use serde_json::json;
use tasker_telemetry::declare_event;
use tasker_telemetry::driver::{self, EngineAttempt, NewTask};
use tasker_telemetry::prelude::*;
use tasker_telemetry::trace::Carrier;

use crate::calls;
use crate::garden::{Garden, Plant};

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Customer {
    name: &'static str,
    email: String,
    cards: Vec<BTreeMap<String, String>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Pin(String);

impl Zeroize for Pin {
    fn zeroize(&mut self) {
        self.0.clear();
    }
}

impl SerializableSecret for Pin {}

impl Serialize for Pin {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

#[derive(Debug, Serialize, Event)]
#[event("canary.sold")]
pub(crate) struct Sold {
    lines: u32,
    #[event(sensitive)]
    card: String,
    #[event(sensitive)]
    parts: Option<Vec<String>>,
    pin: Option<SecretBox<Pin>>,
}

#[derive(Debug, Clone, Serialize, Event)]
#[event("canary.met")]
pub(crate) struct Met {
    customer: Customer,
    session_token: String,
    certificate_number: u64,
    note: String,
}

declare_event!("canary.dynamic", "Anything.");

/// An error that tells all it knows, in each of its texts.
pub(crate) struct Leaky {
    told: String,
    in_debug: String,
    cause: Option<Box<Leaky>>,
}

impl Leaky {
    fn new(told: String) -> Self {
        Self { told, in_debug: "no".to_owned(), cause: None }
    }
}

impl fmt::Display for Leaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it did not work with {:?}: {}", self.told, self.told)
    }
}

impl fmt::Debug for Leaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What stands first is taken for the name of a variant.
        let mut word = self.in_debug.clone();
        word.get_mut(..1).unwrap().make_ascii_uppercase();
        f.write_str(&word)
    }
}

impl std::error::Error for Leaky {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| &**cause as _)
    }
}

#[step(retry_limit = 2, fields(password = told, otp = in_debug, order = json!({"salt": {"all": [in_chain]}})))]
async fn fails(told: String, in_debug: String, in_chain: String) -> Result<(), Leaky> {
    // What was masked in the step's fields is found in what the step logs.
    tracing::warn!(target: "shop", password = told, otp = ?in_debug, "it begins with {told}, {in_debug} and {in_chain}");
    let cause = Leaky { told: in_chain, in_debug: String::new(), cause: None };
    Err(Leaky { told, in_debug, cause: Some(Box::new(cause)) })
}

#[step(fields(ssn))]
fn panics(ssn: &str) {
    panic!("{}: {ssn}", integration_tests::EXPECTED);
}

#[step(fields(note, keys, customer))]
fn tells(note: String, keys: BTreeMap<String, u8>, customer: Customer) -> Result<(), String> {
    tracing::info!(target: "shop", note, keys = ?keys, secret = %customer.email, "a note: {note}");
    publish_event("canary.dynamic", json!({"deep": [{"er": {"api_key": customer.email}}], "keys": keys, "note": note}))
        .map_err(|error| error.to_string())?;
    Err(note)
}

fn customer(garden: &mut Garden) -> Customer {
    Customer {
        name: "Ann",
        email: garden.plant(Plant::Filtered),
        cards: vec![BTreeMap::from([("secret_number".to_owned(), garden.plant(Plant::Filtered))])],
    }
}

/// What the program hands to others.
pub(crate) fn handed_over(carrier: &Carrier) -> String {
    format!("{carrier:?} {} {:?}", serde_json::to_string(carrier).unwrap(), carrier.to_headers())
}

#[task(id = id, fields(account = json!({"crypt": account}), customer_email = email))]
pub(crate) async fn order(
    garden: &mut Garden,
    id: String,
    account: String,
    email: String,
    carriers: &mut Vec<Carrier>,
) -> Result<(), Leaky> {
    let card = garden.plant(Plant::Always);
    let parts = Some(vec![garden.plant(Plant::Always)]);
    publish(Sold { lines: 3, card, parts, pin: Some(SecretBox::new(Box::new(Pin(garden.plant(Plant::Always))))) });
    let customer = customer(garden);
    publish(Met {
        customer: customer.clone(),
        session_token: garden.plant(Plant::Filtered),
        certificate_number: 7,
        note: garden.plant_bare(),
    });
    let keys = BTreeMap::from([(garden.plant_bare(), 1)]);
    _ = tells(garden.plant_bare(), keys, customer);
    let ssn = garden.plant(Plant::Filtered);
    _ = catch_unwind(AssertUnwindSafe(|| panics(&ssn)));
    calls::all(garden).await;
    carriers.extend(TaskScope::current().map(|task| task.carrier()));
    let told = (garden.plant(Plant::Filtered), garden.plant(Plant::Filtered), garden.plant(Plant::Filtered));
    fails(told.0, told.1, told.2).await
}

/// A task that an engine runs, and one that a process handed over that masks nothing.
pub(crate) async fn elsewhere(garden: &mut Garden, carriers: &mut Vec<Carrier>) {
    let queued =
        NewTask::new("queued").field("api_key", garden.plant(Plant::Filtered)).field("note", garden.plant_bare());
    let queued = driver::begin(queued).hand_over();
    let task = driver::resume(queued.clone(), EngineAttempt::new("tells", 1));
    let keys = BTreeMap::from([(garden.plant_bare(), 1)]);
    _ = task.scope(async { tells(garden.plant_bare(), keys, customer(garden)) }).await;
    let told = (garden.plant_bare(), garden.plant_bare());
    task.fail(&Leaky { told: told.0, in_debug: "no".to_owned(), cause: Some(Box::new(Leaky::new(told.1))) });
    let foreign = json!({
        "task_id": "from-elsewhere",
        "task_name": "handed_over",
        "started_at_unix_nanos": 1_700_000_000_000_000_000_u64,
        "context": [["api_key", garden.plant(Plant::Filtered)], ["note", garden.plant_bare()], ["deep", {"ssn": garden.plant(Plant::Filtered)}]],
        "baggage": {"session_token": garden.plant(Plant::Filtered), "plan": garden.plant_bare()},
    });
    let task = TaskScope::resume(serde_json::from_value(foreign).unwrap());
    _ = task.scope(async { TaskScope::current().map(|task| carriers.push(task.carrier())) }).await;
    task.complete();
    carriers.push(queued);
}

/// The baggage that tasks begin with. Both of its keys are let out.
pub(crate) fn baggage(garden: &mut Garden) -> Context {
    let entry = |key: &'static str, value: String| KeyValue::new(key, value);
    let entries = [entry("session_token", garden.plant(Plant::Filtered)), entry("plan", garden.plant_bare())];
    Context::current().with_baggage(entries)
}

pub(crate) static LOGINS: Counter<2> = Counter::with_labels("canary_logins_total", "Logins.", ["token", "place"]);
