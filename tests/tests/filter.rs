//! The filter through the front door: every sort of rule, every sort of value, and errors that tell what was masked.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value as Json, json};
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::{Recording, block_on, record_sync};
use tasker_telemetry::{BuildError, Builder, FilterRule, Regex, declare_event};

fn builder() -> Builder {
    Telemetry::builder().auto_subscribers(false)
}

fn recording(rules: &[&str]) -> Recording {
    Recording::with(builder().filter_parameters(rules)).unwrap()
}

declare_event!("filter.dynamic", "Anything.");

fn shown(recording: &Recording, payload: Json) -> Json {
    recording.in_scope(|| publish_event("filter.dynamic", payload)).unwrap();
    let mut shown = recording.events().named("filter.dynamic").last().unwrap().payload().clone();
    let header = ["event", "event_id", "event_type", "timestamp"];
    for name in header {
        shown.as_object_mut().unwrap().remove(name);
    }
    shown
}

#[test]
fn names_paths_and_expressions() {
    let rules: [FilterRule; 4] =
        ["passw".into(), "credit_card.number".into(), "/^pin$/i".into(), Regex::new("^iban").unwrap().into()];
    let recording = Recording::with(builder().filter_parameters(rules)).unwrap();
    let payload = json!({
        "userPassword": {"any": "thing"}, "credit_card": [{"number": 1, "holder": "Ann"}], "number": 2,
        "PIN": 3, "pinned": 4, "x": {"iban_de": 5},
    });
    let expected = json!({
        "userPassword": "[FILTERED]", "credit_card": [{"number": "[FILTERED]", "holder": "Ann"}], "number": 2,
        "PIN": "[FILTERED]", "pinned": 4, "x": {"iban_de": "[FILTERED]"},
    });
    assert_eq!(shown(&recording, payload), expected);
}

#[test]
fn a_rule_that_cannot_be_used_is_named() {
    for (rule, why) in [("/(/", "regular"), ("/(a{1000}){1000}/", "regular"), ("//", "everything"), ("/a/z", "`z`")] {
        match builder().filter_parameters(["passw", rule]).build().map(drop).unwrap_err() {
            BuildError::Filter { rule: named, problem } => {
                assert_eq!(named, rule);
                assert!(problem.contains(why), "{problem}");
            }
            other => panic!("{other}"),
        }
    }
    assert!(matches!(builder().filter_values(["(", "a"]).build(), Err(BuildError::Filter { rule, .. }) if rule == "("));
}

/// What a payload has inside.
#[derive(Debug, Clone, Serialize)]
struct Customer {
    name: String,
    email: String,
}

#[derive(Debug, Clone, Serialize, Event)]
#[event("filter.typed")]
struct Typed {
    plain: u64,
    customers: Vec<Option<Customer>>,
    by_name: BTreeMap<String, u8>,
}

fn typed(by_name: &[(&str, u8)], customers: Vec<Option<Customer>>) -> Typed {
    Typed { plain: 7, customers, by_name: by_name.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect() }
}

#[test]
fn what_lies_inside_of_typed_fields_is_masked_in_every_form() {
    let ann = Customer { name: "Ann".into(), email: "ann@example.org".into() };
    let run = record_sync(|| {
        publish(typed(&[("a", 1)], vec![Some(ann), None]));
        publish(typed(&[("a", 1), ("otp", 2)], vec![]));
        publish(typed(&[("a", 1)], vec![None]));
    });
    let events = run.named("filter.typed");
    let [inside, map, nothing] = events[..] else { panic!("{events:?}") };
    assert_eq!(inside.payload()["customers"], json!([{"name": "Ann", "email": "[FILTERED]"}, null]));
    assert_eq!(inside.payload()["by_name"], json!({"a": 1}));
    let seen: &Typed = inside.downcast_ref().unwrap();
    assert!(seen.customers.is_empty(), "the typed field is masked as a whole");
    assert_eq!((seen.plain, seen.by_name["a"]), (7, 1));
    assert_eq!(map.payload()["by_name"], json!({"a": 1, "otp": "[FILTERED]"}));
    assert!(map.downcast_ref::<Typed>().unwrap().by_name.is_empty());
    assert_eq!(nothing.downcast_ref::<Typed>().unwrap().by_name["a"], 1, "where nothing is masked, nothing changes");
}

/// Serialised by hand, as something else than its fields.
#[derive(Debug, Event)]
#[event("filter.by_hand")]
struct ByHand {
    user: String,
}

impl Serialize for ByHand {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        BTreeMap::from([("password", &self.user)]).serialize(serializer)
    }
}

#[derive(Debug, Event)]
#[event("filter.breaks")]
struct Breaks {
    how: u8,
    secret: Wrong,
    card: Wrong,
}

#[derive(Debug)]
struct Wrong(&'static str);

impl Serialize for Wrong {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom(format!("cannot write {}", self.0)))
    }
}

impl Serialize for Breaks {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        assert!(self.how == 0, "{}: {}", integration_tests::EXPECTED, self.card.0);
        let mut fields = serializer.serialize_struct("Breaks", 3)?;
        fields.serialize_field("how", &self.how)?;
        fields.serialize_field("secret", &self.secret)?;
        fields.serialize_field("card", &self.card)?;
        fields.end()
    }
}

#[test]
fn what_cannot_be_looked_through_is_masked() {
    integration_tests::quiet_expected_panics();
    let run = record_sync(|| {
        publish(ByHand { user: "hand-made".into() });
        publish(Breaks { how: 0, secret: Wrong("one"), card: Wrong("4111") });
        publish(Breaks { how: 1, secret: Wrong("one"), card: Wrong("4111") });
    });
    let by_hand = run.named("filter.by_hand")[0];
    assert_eq!(by_hand.payload()["password"], "[FILTERED]");
    assert!(by_hand.downcast_ref::<ByHand>().is_none(), "its type tells nothing, so it is withheld");
    for event in run.named("filter.breaks") {
        let text = serde_json::to_string(event).unwrap();
        assert!(!text.contains("4111") && !text.contains("one"), "{text}");
        assert!(event.downcast_ref::<Breaks>().is_none());
    }
}

#[derive(Debug)]
struct Declined {
    card: String,
    cause: std::io::Error,
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "card {} declined", self.card)
    }
}

impl std::error::Error for Declined {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

#[step(fields(card_token = card, amount = 1000, cvv_secret = 12))]
fn charge(card: &str) -> Result<(), Declined> {
    let cause = std::io::Error::other(format!("{card:?} at 12 o'clock for 1000"));
    Err(Declined { card: card.to_owned(), cause })
}

#[task]
fn order(card: &str) -> Result<(), Declined> {
    charge(card)
}

#[test]
fn errors_do_not_tell_what_the_inputs_mask() {
    let run = record_sync(|| order("pan \"4111\""));
    for name in ["step.failed", "task.failed"] {
        let event = run.named(name)[0].payload();
        assert_eq!(event["error_message"], "card [FILTERED] declined", "{name}");
        assert_eq!(event["error_chain"], json!(["\"[FILTERED]\" at 12 o'clock for 1000"]), "{name}");
    }
    let other = Recording::new();
    _ = other.in_scope(|| order("x1"));
    let message = other.events().named("task.failed")[0].payload()["error_message"].clone();
    assert_eq!(message, "card x1 declined", "too short to be searched for");
}

#[step(fields(password))]
fn breaks(password: &str) {
    panic!("{}: wrong {password}!", integration_tests::EXPECTED);
}

#[test]
fn panics_do_not_tell_it_either() {
    integration_tests::quiet_expected_panics();
    let recording = Recording::new();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| recording.in_scope(|| breaks("hunter2"))));
    assert!(caught.is_err());
    let message = recording.events().named("step.failed")[0].payload()["error_message"].clone();
    assert_eq!(message, format!("{}: wrong [FILTERED]!", integration_tests::EXPECTED));
}

#[step(fields(token = "t".repeat(70_000), short_token = "abcdef"))]
fn long(text: String) -> Result<(), String> {
    Err(text)
}

#[test]
fn no_half_of_a_value_remains_where_a_text_is_cut() {
    let recording = Recording::new();
    for text in ["x".repeat(4_093) + "abcdef", "x".repeat(70_000) + "abcdef"] {
        _ = recording.in_scope(|| long(text));
    }
    let events = recording.events();
    for event in events.named("step.failed") {
        assert!(!event.payload()["error_message"].as_str().unwrap().contains("abc"));
    }
}

/// What a value pattern finds.
#[derive(Debug, Clone, Serialize, Event)]
#[event("filter.noted")]
struct Noted {
    note: String,
    number: u64,
    other: String,
}

#[step(fields(note, n = 4_111_111_u64, more = json!({"4111111": ["a 4111111"]})))]
fn noting(note: &str) -> Result<(), String> {
    publish(Noted { note: note.to_owned(), number: 4_111_111, other: "kept".into() });
    Err(note.to_owned())
}

#[test]
fn values_are_found_wherever_they_stand() {
    let recording =
        Recording::with(builder().filter_parameters([] as [&str; 0]).filter_values([Regex::new("41{6}").unwrap()]))
            .unwrap();
    _ = recording.in_scope(|| noting("card 4111111"));
    let events = recording.events();
    let inputs = &events.named("step.execution_requested")[0].payload()["step_inputs"];
    assert_eq!(
        inputs,
        &json!({"note": "card [FILTERED]", "n": "[FILTERED]", "more": {"[FILTERED]": ["a [FILTERED]"]}})
    );
    let noted = events.named("filter.noted")[0];
    assert_eq!(noted.payload()["note"], "card [FILTERED]");
    assert_eq!(noted.payload()["number"], "[FILTERED]");
    let noted: &Noted = noted.downcast_ref().unwrap();
    assert_eq!((noted.note.as_str(), noted.number, noted.other.as_str()), ("[FILTERED]", 0, "kept"));
    assert_eq!(events.named("step.failed")[0].payload()["error_message"], "card [FILTERED]");
    assert!(!format!("{events:?}").contains("4111111"));
}

#[test]
fn a_driver_s_own_events_are_masked_too() {
    let recording = recording(&["queue"]);
    recording.in_scope(|| {
        publish(event::observability::TaskEnqueue::new("orders".into(), tasker_telemetry::Timestamp::now()));
    });
    assert_eq!(recording.events().named("observability.task.enqueue")[0].payload()["queue_name"], "[FILTERED]");
}

#[test]
fn the_fields_of_errors_can_be_named() {
    let recording = recording(&["message", "step_inputs.amount"]);
    _ = recording.in_scope(|| charge("4111-2222"));
    let events = recording.events();
    assert_eq!(events.named("step.failed")[0].payload()["error_message"], "[FILTERED]");
    let inputs = &events.named("step.execution_requested")[0].payload()["step_inputs"];
    assert_eq!((&inputs["amount"], &inputs["card_token"]), (&json!("[FILTERED]"), &json!("4111-2222")));
}

#[derive(Serialize)]
struct Link {
    secret: u8,
    next: Option<Box<Link>>,
}

#[step(fields(deep = chain(200), wide = vec![1_u8; 2_000_000]))]
fn with_much() {}

fn chain(length: usize) -> Link {
    (0..length).fold(Link { secret: 1, next: None }, |next, _| Link { secret: 1, next: Some(Box::new(next)) })
}

#[test]
fn too_much_is_masked_and_costs_neither_time_nor_stack() {
    let run = record_sync(with_much);
    let inputs = &run.named("step.execution_requested")[0].payload()["step_inputs"];
    assert_eq!(inputs, &json!({"deep": "[FILTERED]", "wide": "[FILTERED]"}));

    let recording = recording(&["secret"]);
    let mut deep = json!({"secret": 1});
    for _ in 0..10_000 {
        deep = Json::Object([("a".to_owned(), deep)].into_iter().collect()); // `json!` would go through it
    }
    let text = shown(&recording, deep).to_string();
    assert!(text.contains("[FILTERED]") && !text.contains("secret"));
    let wide: Vec<Json> = (0..100).map(|_| Json::from("x".repeat(1_000_000))).collect(); // 100 MB
    assert_eq!(shown(&recording, json!({"wide": wide})), json!({"value": "[FILTERED]"}));
    let keys: serde_json::Map<String, Json> = (0..500_000).map(|n| (format!("key{n}"), Json::Null)).collect();
    assert_eq!(shown(&recording, Json::Object(keys)), json!({"value": "[FILTERED]"}));
}

#[test]
fn a_bomb_of_an_expression_ends_in_time() {
    // What backtracking engines never finish.
    let recording = recording(&["/^(a+)+$/", "/(x+x+)+y/", r"/(.*\..*)*z/"]);
    let key = "a".repeat(50_000) + "!";
    let payload = json!({key.clone(): {"x".repeat(50_000): 1}});
    assert_eq!(shown(&recording, payload.clone()), payload);
}

#[test]
fn what_was_masked_elsewhere_is_masked_by_the_rules_here_too() {
    #[task(fields(card = "4111-1111"))]
    fn begins() -> tasker_telemetry::trace::Carrier {
        TaskScope::current().unwrap().hand_over()
    }

    let carrier = recording(&["nothing"]).in_scope(begins);
    let here = recording(&["card"]);
    here.in_scope(|| TaskScope::resume(carrier)).complete();
    let again = here.in_scope(|| TaskScope::resume(recording(&["nothing"]).in_scope(begins))).hand_over();
    assert!(!format!("{again:?}").contains("4111"), "{again:?}");
}

mod of_secrecy {
    use secrecy::{ExposeSecret as _, SecretBox, SecretString, SerializableSecret};

    use super::*;

    #[derive(Debug, Clone, Serialize)]
    struct Pin(u32);

    impl secrecy::zeroize::Zeroize for Pin {
        fn zeroize(&mut self) {
            self.0 = 0;
        }
    }
    impl secrecy::CloneableSecret for Pin {}
    impl SerializableSecret for Pin {}

    fn hidden<S: serde::Serializer>(_: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("whatever the program writes")
    }

    #[derive(Serialize, Event)]
    #[event("filter.secrecy")]
    struct Holds {
        #[serde(serialize_with = "hidden")]
        word: SecretString,
        pin: SecretBox<Pin>,
        maybe: Option<SecretBox<Pin>>,
    }

    #[step(fields(word, by_ref = &word, pin, maybe = Some(SecretBox::new(Box::new(Pin(4711))))))]
    fn uses(word: SecretString, pin: SecretBox<Pin>) {
        publish(Holds { word, pin, maybe: Some(SecretBox::new(Box::new(Pin(4711)))) });
    }

    #[test]
    fn secrets_are_masked_without_being_asked() {
        let none = builder().filter_parameters([] as [&str; 0]).filter_mask("*");
        let recording = Recording::with(none).unwrap();
        recording.in_scope(|| uses("open sesame".into(), SecretBox::new(Box::new(Pin(4711)))));
        let events = recording.events();
        let inputs = &events.named("step.execution_requested")[0].payload()["step_inputs"];
        assert_eq!(inputs, &json!({"word": "*", "by_ref": "*", "pin": "*", "maybe": "*"}));
        let event = events.named("filter.secrecy")[0];
        assert_eq!((&event.payload()["word"], &event.payload()["pin"]), (&json!("*"), &json!("*")));
        assert_eq!(event.payload()["maybe"], "*");
        assert!(event.downcast_ref::<Holds>().is_none_or(|holds| holds.word.expose_secret() == "*"));
    }
}

#[test]
fn async_steps_are_no_different() {
    #[step(retry_limit = 2, fields(token))]
    async fn tried(token: String) -> Result<(), String> {
        Err(format!("no {token} here"))
    }

    let recording = Recording::new();
    _ = block_on(recording.scope(tried("t-123456".into())));
    assert!(!format!("{:?}", recording.events()).contains("t-123456"));
    assert_eq!(recording.events().named("step.retry_requested")[0].payload()["retry_reason"], "no [FILTERED] here");
}
