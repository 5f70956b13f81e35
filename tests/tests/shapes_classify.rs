//! Which returned value is a failure, and what is told of it: by type, never by name.
#![deny(warnings)]
#![allow(clippy::unused_async, clippy::items_after_statements, dead_code, reason = "shapes, not code to live with")]

use std::error::Error;
use std::fmt::{self, Debug, Display};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tasker_telemetry::__private::{Probe, classify};
use tasker_telemetry::prelude::*;

/// Class, message and chain of what a closure returns; `None` for a value that is no failure.
macro_rules! failure {
    ($body:expr) => {{
        let body = || $body;
        let class = classify!(Probe::call(&body));
        let value = body();
        let told = class.failure(&value).map(|view| (view.class(), view.message(), view.chain()));
        told
    }};
}

macro_rules! class {
    ($body:expr) => {
        failure!($body).map(|told| told.0).as_deref()
    };
}

#[derive(Debug, Clone, PartialEq)]
enum PaymentError {
    Declined,
    Limit(u32),
    Busy { seconds: u64 },
}

impl Display for PaymentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no payment")
    }
}

impl Error for PaymentError {}

impl Retryable for PaymentError {
    fn retry_advice(&self) -> RetryAdvice {
        match self {
            Self::Declined => RetryAdvice::Permanent,
            Self::Limit(_) => RetryAdvice::Retry,
            Self::Busy { seconds } => RetryAdvice::RetryAfter(Duration::from_secs(*seconds)),
        }
    }
}

impl ErrorKind for PaymentError {
    fn error_kind(&self) -> &'static str {
        "payment"
    }
}

#[derive(Debug)]
struct Outer(PaymentError);
impl Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("outer")
    }
}
impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[derive(Debug)]
struct OnlyDebug(u8);

struct OnlyDisplay;
impl Display for OnlyDisplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shown")
    }
}

struct Bare;

struct Panics;
impl Display for Panics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("in Display")
    }
}

type Alias<T> = Result<T, PaymentError>;

fn own(error: PaymentError) -> Alias<u8> {
    Err(error)
}

fn io(kind: std::io::ErrorKind) -> std::io::Error {
    std::io::Error::new(kind, "io")
}

const HERE: &str = module_path!();

#[test]
fn own_errors_tell_their_variant() {
    for (error, variant) in [
        (PaymentError::Declined, "Declined"),
        (PaymentError::Limit(1), "Limit"),
        (PaymentError::Busy { seconds: 1 }, "Busy"),
    ] {
        let (class, message, chain) = failure!(own(error.clone())).unwrap();
        assert_eq!(class, format!("{HERE}::PaymentError::{variant}"));
        assert_eq!((message.as_str(), chain.len()), ("no payment", 0));
    }
    let (class, message, chain) = failure!(Err::<(), _>(Outer(PaymentError::Declined))).unwrap();
    assert_eq!((class, message.as_str(), chain), (format!("{HERE}::Outer"), "outer", vec!["no payment".to_owned()]));
    assert_eq!(
        class!(Err::<(), _>(Box::new(PaymentError::Declined))),
        Some(format!("{HERE}::PaymentError::Declined").as_str())
    );
    assert_eq!(
        class!(Err::<(), _>(Arc::new(PaymentError::Declined))),
        Some(format!("{HERE}::PaymentError::Declined").as_str())
    );
}

#[test]
fn values_are_no_failures() {
    assert_eq!(failure!(Ok::<u8, PaymentError>(1)), None);
    assert_eq!(failure!(()), None);
    assert_eq!(failure!(None::<u8>), None);
    assert_eq!(failure!("Err"), None);
    assert_eq!(failure!(Rc::new(Err::<(), _>(PaymentError::Declined))), None);
}

#[test]
fn boxed_errors_tell_their_innermost_cause() {
    let variant = "Declined";
    type Boxed = Box<dyn Error>;
    type BoxedSend = Box<dyn Error + Send>;
    type BoxedSync = Box<dyn Error + Send + Sync>;
    assert_eq!(class!(Err::<(), Boxed>(Box::new(Outer(PaymentError::Declined)))), Some(variant));
    assert_eq!(class!(Err::<(), BoxedSend>(Box::new(Outer(PaymentError::Declined)))), Some(variant));
    assert_eq!(class!(Err::<(), BoxedSync>(Box::new(Outer(PaymentError::Declined)))), Some(variant));
    assert_eq!(class!(Err::<(), Arc<dyn Error>>(Arc::new(Outer(PaymentError::Declined)))), Some(variant));
    assert_eq!(class!(Err::<(), anyhow::Error>(Outer(PaymentError::Declined).into())), Some(variant));
    assert_eq!(class!(Err::<(), eyre::Report>(Outer(PaymentError::Declined).into())), Some(variant));
    let io_class = std::any::type_name::<std::io::Error>();
    let not_found = || io(std::io::ErrorKind::NotFound);
    assert_eq!(class!(Err::<(), _>(not_found())), Some(io_class));
    assert_eq!(class!(Err::<(), Boxed>(Box::new(not_found()))), Some(io_class));
    assert_eq!(class!(Err::<(), anyhow::Error>(anyhow::Error::from(not_found()).context("reading"))), Some(io_class));
    let (class, message, chain) = failure!(Err::<(), _>(anyhow::anyhow!("low").context("high"))).unwrap();
    assert_eq!((class.as_str(), message.as_str(), chain), ("anyhow::Error", "high", vec!["low".to_owned()]));
    let (class, message, _) = failure!(Err::<(), Boxed>("text".into())).unwrap();
    assert_eq!((class.as_str(), message.as_str()), ("alloc::boxed::Box<dyn core::error::Error>", "text"));
}

#[test]
fn boxed_errors_may_borrow() {
    #[derive(Debug)]
    struct Borrowed<'a>(&'a str);
    impl Display for Borrowed<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }
    impl Error for Borrowed<'_> {}
    fn failing<'a>(text: &'a str) -> Result<(), Box<dyn Error + 'a>> {
        Err(Box::new(Borrowed(text)))
    }
    let text = String::from("text");
    let body = || failing(&text);
    let class = classify!(Probe::call(&body).borrowed());
    let value = body();
    let view = class.failure(&value).unwrap();
    assert_eq!((view.class().as_str(), view.message().as_str()), ("Borrowed", "text"));
    assert!(
        class!(Err::<(), _>(Borrowed(&text))).unwrap().ends_with("Borrowed<'_>")
            || class!(Err::<(), _>(Borrowed(&text))).unwrap().ends_with("Borrowed")
    );
}

#[test]
fn any_error_type_will_do() {
    let told = |class: &str, message: &str| Some((class.to_owned(), message.to_owned(), vec![]));
    assert_eq!(failure!(Err::<(), _>(String::from("text"))), told("alloc::string::String", "text"));
    assert_eq!(failure!(Err::<(), _>("text")), told("&str", "text"));
    assert_eq!(failure!(Err::<(), _>(OnlyDisplay)), told(&format!("{HERE}::OnlyDisplay"), "shown"));
    assert_eq!(failure!(Err::<(), _>(OnlyDebug(1))), told(&format!("{HERE}::OnlyDebug"), "OnlyDebug(1)"));
    let bare = format!("{HERE}::Bare");
    assert_eq!(failure!(Err::<(), _>(Bare)), told(&bare, &format!("an error without a text, of type `{bare}`")));
    assert_eq!(failure!(Err::<(), _>(7)), told("i32", "7"));
    let panics = format!("{HERE}::Panics");
    assert_eq!(
        failure!(Err::<(), _>(Panics)),
        told(&panics, &format!("an error whose text panicked, of type `{panics}`"))
    );
}

#[test]
fn the_signature_decides() {
    fn hidden<T>(value: T) -> bool {
        let body = || value;
        let class = classify!(Probe::call(&body));
        class.failure(&body()).is_some()
    }
    fn unbounded<E>(error: E) -> String {
        let body = || Err::<(), E>(error);
        let class = classify!(Probe::call(&body));
        class.failure(&body()).unwrap().message()
    }
    fn bounded<E: Display>(error: E) -> String {
        let body = || Err::<(), E>(error);
        let class = classify!(Probe::call(&body));
        class.failure(&body()).unwrap().message()
    }
    assert!(!hidden(Err::<(), _>("x")));
    assert_eq!(unbounded("x"), "an error without a text, of type `&str`");
    assert_eq!(bounded("x"), "x");
}

#[test]
fn errors_speak_for_themselves() {
    let body = || own(PaymentError::Busy { seconds: 3 });
    let class = classify!(Probe::call(&body));
    let value = body();
    assert_eq!(class.advice(&value), Some(RetryAdvice::RetryAfter(Duration::from_secs(3))));
    assert_eq!(class.kind(&value), Some("payment"));
    assert_eq!(class.advice(&Ok(1)), None);
    let boxed = || Err::<(), _>(Box::new(PaymentError::Declined));
    let class = classify!(Probe::call(&boxed));
    assert_eq!(class.advice(&boxed()), Some(RetryAdvice::Permanent));
    let silent = || Err::<(), _>(OnlyDebug(1));
    let class = classify!(Probe::call(&silent));
    assert_eq!((class.advice(&silent()), class.kind(&silent())), (None, None));
    let timeout = || Err::<(), _>(io(std::io::ErrorKind::TimedOut));
    let class = classify!(Probe::call(&timeout));
    assert_eq!(class.kind(&timeout()), Some("timeout"));
    let wrapped = || Err::<(), anyhow::Error>(anyhow::Error::from(io(std::io::ErrorKind::TimedOut)).context("calling"));
    let class = classify!(Probe::call(&wrapped));
    assert_eq!(class.failure(&wrapped()).unwrap().known_kind(), Some("timeout"));
}

#[test]
fn a_cyclic_chain_ends() {
    #[derive(Debug)]
    struct Cyclic;
    impl Display for Cyclic {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("again")
        }
    }
    impl Error for Cyclic {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&Self)
        }
    }
    assert_eq!(failure!(Err::<(), _>(Cyclic)).unwrap().2.len(), 64);
}

/// What a type answers that the macros can name, as those of most functions.
macro_rules! named {
    ($type:ty, $value:expr) => {{
        let class = classify!(type of_type $type);
        let value: $type = $value;
        (class.failure(&value).map(|view| view.message()), class.advice(&value), class.kind(&value))
    }};
}

#[test]
fn a_type_that_can_be_named_is_asked_without_a_value() {
    /// The bounds of the signature count here, too.
    fn bounded<E: Retryable>(error: E) -> (Option<String>, Option<RetryAdvice>, Option<&'static str>) {
        named!(Result<(), E>, Err(error))
    }
    fn unbounded<E>(error: E) -> (Option<String>, Option<RetryAdvice>, Option<&'static str>) {
        named!(Result<(), E>, Err(error))
    }
    let permanent = Some(RetryAdvice::Permanent);
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        named!(Result<u8, PaymentError>, Err(PaymentError::Declined)),
        (text("no payment"), permanent, Some("payment"))
    );
    assert_eq!(named!(Result<u8, PaymentError>, Ok(1)), (None, None, None));
    let timeout = io(std::io::ErrorKind::TimedOut);
    assert_eq!(named!(std::io::Result<u8>, Err(timeout)).2, Some("timeout"));
    assert_eq!(named!(Result<(), OnlyDebug>, Err(OnlyDebug(1))), (text("OnlyDebug(1)"), None, None));
    assert_eq!(named!(Result<(), String>, Err(String::from("text"))), (text("text"), None, None));
    assert_eq!(named!(anyhow::Result<()>, Err(anyhow::anyhow!("text"))).0, text("text"));
    assert_eq!(named!(Option<u8>, None), (None, None, None));
    assert_eq!(named!((), ()), (None, None, None));
    let own = std::any::type_name::<PaymentError>();
    assert_eq!(
        bounded(PaymentError::Declined),
        (text(&format!("an error without a text, of type `{own}`")), permanent, None)
    );
    assert_eq!(unbounded(PaymentError::Declined).1, None);
}
