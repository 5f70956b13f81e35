//! What can change while the telemetry runs changes; the rest is refused with a reason.

use integration_tests::settings::{File, as_text, check};
use tasker_telemetry::Telemetry;
use tasker_telemetry::prelude::*;
use tasker_telemetry::settings::{self, Source};
use tasker_telemetry::testing::block_on;
use tasker_telemetry::trace::{InMemorySpans, Sampling};

#[test]
fn reload_takes_up_what_can_change_and_refuses_the_rest_with_a_reason() {
    for option in settings::options() {
        let file = File::new("[telemetry]\n");
        let builder = Telemetry::builder().config_file(file.path());
        let telemetry = builder.in_memory_spans(InMemorySpans::default()).build().unwrap();
        let before = telemetry.settings().get(option.key).unwrap().clone();
        file.write(&format!("[telemetry]\n{} = {}\n", option.key, option.example));
        let reloaded = telemetry.reload().unwrap();
        let source = Source::File { path: file.path().to_owned(), line: 2 };
        if option.is_reloadable() {
            assert_eq!(reloaded.refused, []);
            assert_eq!(reloaded.changed[0].key, option.key);
            check(option, &telemetry, &source);
        } else {
            let [refused] = &*reloaded.refused else { panic!("{} is taken up: {reloaded:?}", option.key) };
            assert!(refused.key == option.key && refused.reason.contains("cannot change"), "{refused}");
            assert_eq!(telemetry.settings().get(option.key).unwrap().source, before.source);
        }
        // The same by hand.
        let changed = telemetry.change(option.key, &as_text(option));
        assert_eq!(changed.is_ok(), option.is_reloadable(), "{}: {changed:?}", option.key);
        file.write("[telemetry]\nenabld = true\n");
        assert!(telemetry.reload().is_err());
    }
}

#[test]
fn reload_leaves_code_alone_and_never_shows_what_was_masked() {
    let file = File::new("[telemetry]\nfilter_parameters = [\"pin\"]\nsampling.ratio = 0.5\n");
    let telemetry = Telemetry::builder().config_file(file.path()).sampling(Sampling::ratio(0.25)).build().unwrap();
    file.write("[telemetry]\nfilter_parameters = [\"pan\"]\nsampling.ratio = 0.75\n");
    let reloaded = telemetry.reload().unwrap();
    let [refused] = &*reloaded.refused else { panic!("{reloaded:?}") };
    assert!(refused.to_string().contains("`pin` would be taken away"), "{refused}");
    assert!(reloaded.changed.is_empty());
    assert_eq!(telemetry.settings().get("sampling.ratio").unwrap().value, "0.25");
}

#[step(fields(pin))]
fn charge(pin: u32) {
    let _ = pin;
}

#[task]
async fn order_process() {
    charge(1234);
}

#[test]
fn what_has_changed_holds_for_what_begins() {
    let spans = InMemorySpans::default();
    let telemetry = Telemetry::builder().auto_subscribers(false).in_memory_spans(spans.clone()).build().unwrap();
    let seen = || {
        let before = spans.spans().len();
        block_on(telemetry.scope(order_process()));
        telemetry.flush_blocking().unwrap();
        let new = spans.spans().split_off(before);
        (new.len(), format!("{:?}", new.iter().map(tasker_telemetry::trace::Span::attributes).collect::<Vec<_>>()))
    };
    let (count, text) = seen();
    assert!(count == 2 && text.contains("1234"), "{text}");
    telemetry.change("filter_values", "1234").unwrap();
    let (count, text) = seen();
    assert!(count == 2 && !text.contains("1234") && text.contains("[FILTERED]"), "{text}");
    telemetry.change("sampling.ratio", "0").unwrap();
    assert_eq!(seen().0, 0);
    telemetry.change("sampling.ratio", "1").unwrap();
    assert_eq!(seen().0, 2);
    assert_eq!(telemetry.settings().get("sampling.ratio").unwrap().source, Source::Changed);
    let error = telemetry.change("sampling.rato", "1").unwrap_err();
    assert_eq!(error.problems()[0].nearest(), Some("sampling.ratio"));
}
