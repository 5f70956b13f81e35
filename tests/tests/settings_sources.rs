//! Every option of the table is read from every source, and a slip in any of them gives the error that is promised. All of it is
//! generated from the table: a new option is tested without a word here.

use integration_tests::settings::{File, as_text, build, check};
use tasker_telemetry::settings::{self, Kind, OptionSpec, SettingsError, Source};
use tasker_telemetry::{BuildError, Builder, Telemetry};

/// From these variables, without the exporter that there is by default.
fn from_variables(option: &OptionSpec, variable: &str, text: &str) -> Result<Builder, SettingsError> {
    let none = ("TASKER_TELEMETRY__TRACES_EXPORTER", "none");
    let none = if option.key == "traces_exporter" { ("", "") } else { none };
    Telemetry::from_variables([none, (variable, text)])
}

#[test]
fn every_option_is_read_from_a_file() {
    for option in settings::options() {
        let file = File::new(&format!("[other]\nx = 1\n\n[telemetry]\n{} = {}\n", option.key, option.example));
        let telemetry = build(Telemetry::builder().config_file(file.path()), option);
        check(option, &telemetry, &Source::File { path: file.path().to_owned(), line: 5 });
        assert_ne!(option.example, option.default, "{}", option.key);
        let before = build(Telemetry::builder(), option);
        let value = |telemetry: &Telemetry| telemetry.settings().get(option.key).unwrap().value.clone();
        assert_ne!(value(&telemetry), value(&before), "{} makes no difference", option.key);
    }
}

#[test]
fn every_option_is_read_from_its_variable() {
    for option in settings::options() {
        let builder = from_variables(option, &option.variable(), &as_text(option)).unwrap();
        let telemetry = build(builder, option);
        check(option, &telemetry, &Source::Variable(option.variable()));
    }
}

#[test]
fn every_option_is_said_in_code() {
    for option in settings::options() {
        let telemetry = build(Telemetry::builder().option(option.key, as_text(option)), option);
        check(option, &telemetry, &Source::Code);
    }
}

/// What the standard's variables are set to for the example.
fn in_standard(option: &OptionSpec) -> Vec<(&'static str, String)> {
    let text = as_text(option);
    option
        .standard_variables()
        .into_iter()
        .map(|name| {
            let value = match (name, option.key) {
                ("OTEL_SDK_DISABLED", _) => "true".to_owned(),
                ("OTEL_RESOURCE_ATTRIBUTES", "service_name") => format!("service.name={text}"),
                ("OTEL_RESOURCE_ATTRIBUTES", "service_version") => format!("service.version={text}"),
                ("OTEL_TRACES_SAMPLER", "sampling.parent_based") => "traceidratio".to_owned(),
                ("OTEL_TRACES_SAMPLER", _) => "parentbased_traceidratio".to_owned(),
                _ => match option.kind {
                    Kind::Time => millis(&text),
                    Kind::List | Kind::Choices(_) => text.replace(['[', ']', '"'], ""),
                    Kind::Count(_) => text.replace('_', ""),
                    Kind::Pairs => text.replace(['{', '}', '"', ' '], "").replace(':', "="),
                    _ => text.clone(),
                },
            };
            (name, value)
        })
        .collect()
}

fn millis(time: &str) -> String {
    match time.strip_suffix("ms") {
        Some(millis) => millis.to_owned(),
        None => format!("{}000", time.trim_end_matches('s')),
    }
}

#[test]
fn every_option_is_read_from_opentelemetrys_variables_which_are_stronger() {
    let mut tried = 0;
    for option in settings::options() {
        let variables = in_standard(option);
        let alone = if option.key == "sampling.ratio" {
            vec![variables.clone()]
        } else {
            variables.iter().map(|one| vec![one.clone()]).collect()
        };
        for variables in alone {
            let name = variables[0].0;
            let none = ("TASKER_TELEMETRY__TRACES_EXPORTER".to_owned(), "none".to_owned());
            // Ours says something else, and is weaker.
            let own = (option.variable(), option.default.trim_matches('"').replace(" = ", ": "));
            let all = [none, own].into_iter().filter(|_| option.key != "traces_exporter");
            let all = all.chain(variables.into_iter().map(|(name, value)| (name.to_owned(), value)));
            let telemetry = build(Telemetry::from_variables(all).unwrap(), option);
            check(option, &telemetry, &Source::Variable(name.to_owned()));
            tried += 1;
        }
    }
    assert!(tried > 30, "{tried}");
}

#[test]
fn code_is_stronger_than_variables_and_they_than_the_file() {
    let file =
        File::new("[telemetry]\nservice_name = \"file\"\nservice_version = \"1\"\n[telemetry.spans]\nbatch = 12\n");
    let variables = [
        ("TASKER_TELEMETRY__CONFIG_FILE", file.path().to_str().unwrap()),
        ("TASKER_TELEMETRY__TRACES_EXPORTER", "none"),
        ("TASKER_TELEMETRY__SERVICE_NAME", "ours"),
        ("TASKER_TELEMETRY__SPANS__BATCH", "13"),
        ("OTEL_SERVICE_NAME", "standard"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "14"),
    ];
    for (many, service, batch) in [(2, "file", "12"), (4, "ours", "13"), (6, "standard", "14")] {
        // Whether code speaks before or after the sources are named makes no difference.
        let builder = || Telemetry::from_variables(variables[..many].iter().copied()).unwrap();
        let telemetry = builder().build().unwrap();
        assert_eq!(telemetry.service_name(), service);
        assert_eq!(telemetry.service_version(), "1");
        assert_eq!(telemetry.settings().get("spans.batch").unwrap().value, batch);
        let code = builder().service_name("code").option("spans.batch", "15").build().unwrap();
        assert_eq!(code.service_name(), "code");
        assert_eq!(code.settings().get("spans.batch").unwrap().value, "15");
    }
    let code = Telemetry::builder().service_name("code").config_file(file.path()).build().unwrap();
    assert_eq!((code.service_name(), code.service_version()), ("code", "1"));
    let telemetry = Telemetry::from_variables([("OTEL_SDK_DISABLED", "true")]).unwrap().enabled(true).build().unwrap();
    assert_eq!(telemetry.settings().get("enabled").unwrap().value, "false", "a switch to be relied on");
}

/// A slip of the fingers in the last word of a key.
fn slip(key: &str) -> String {
    let (head, last) = key.rsplit_once('.').map_or(("", key), |(_, last)| (&key[..key.len() - last.len()], last));
    let mut last = last.to_owned();
    last.remove(last.len() / 2);
    format!("{head}{last}")
}

/// What is no value of that kind in a file, and what can be none in a variable.
fn impossible(kind: Kind) -> (String, Option<String>) {
    match kind {
        Kind::Flag => ("\"perhaps\"".to_owned(), Some("perhaps".to_owned())),
        Kind::Text => ("7".to_owned(), None),
        Kind::Choice(_) => ("\"zebra\"".to_owned(), Some("zebra".to_owned())),
        Kind::Choices(_) => ("[\"zebra\"]".to_owned(), Some("zebra".to_owned())),
        Kind::Count(0) => ("-1".to_owned(), Some("-1".to_owned())),
        Kind::Count(least) => ((least - 1).to_string(), Some((least - 1).to_string())),
        Kind::Share => ("1.5".to_owned(), Some("1.5".to_owned())),
        Kind::Time => ("\"soon\"".to_owned(), Some("soon".to_owned())),
        Kind::List => ("\"one\"".to_owned(), Some("[1]".to_owned())),
        Kind::Pairs => ("[\"a\"]".to_owned(), Some("novalue".to_owned())),
        _ => panic!("a kind without an impossible value"),
    }
}

#[test]
fn a_slip_in_a_file_names_file_line_key_and_the_nearest() {
    for option in settings::options() {
        let slip = slip(option.key);
        let file = File::new(&format!("# a comment\n[telemetry]\n\n{slip} = {}\n", option.example));
        let Err(BuildError::Settings(error)) = Telemetry::builder().config_file(file.path()).build() else {
            panic!("`{slip}` is taken for an option");
        };
        let [problem] = error.problems() else { panic!("{error}") };
        assert_eq!((problem.file(), problem.line(), problem.key()), (Some(file.path()), Some(4), &*slip));
        assert_eq!(problem.nearest(), Some(option.key), "{error}");
        let says = format!(":4: `{slip}` is no option; did you mean `{}`?", option.key);
        assert!(error.to_string().ends_with(&says), "{error}");
    }
}

#[test]
fn what_cannot_be_in_a_file_names_file_line_and_key() {
    for option in settings::options() {
        let file = File::new(&format!("[telemetry]\n{} = {}\n", option.key, impossible(option.kind).0));
        let Err(BuildError::Settings(error)) = Telemetry::builder().config_file(file.path()).build() else {
            panic!("{} takes {}", option.key, impossible(option.kind).0);
        };
        let [problem] = error.problems() else { panic!("{error}") };
        assert_eq!((problem.file(), problem.line(), problem.key()), (Some(file.path()), Some(2), option.key));
        assert!(error.to_string().contains(&format!("`{}` must be ", option.key)), "{error}");
    }
}

#[test]
fn a_slip_in_a_variable_names_it_and_the_nearest() {
    for option in settings::options() {
        let variable = format!("TASKER_TELEMETRY__{}", slip(option.key).to_ascii_uppercase().replace('.', "__"));
        let error = from_variables(option, &variable, "x").map(drop).unwrap_err();
        let [problem] = error.problems() else { panic!("{error}") };
        assert_eq!((problem.variable(), problem.nearest()), (Some(&*variable), Some(option.key)), "{error}");
        if let Some(text) = impossible(option.kind).1 {
            let error = from_variables(option, &option.variable(), &text).map(drop).unwrap_err();
            let [problem] = error.problems() else { panic!("{error}") };
            assert_eq!((problem.variable(), problem.key()), (Some(&*option.variable()), option.key), "{error}");
            let Err(BuildError::Settings(error)) = Telemetry::builder().option(option.key, text).build() else {
                panic!("{} takes everything from code", option.key);
            };
            assert_eq!(error.problems()[0].key(), option.key);
        }
    }
}

#[test]
fn a_mistake_in_a_standard_variable_names_it() {
    for (name, value) in [
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "novalue"),
        ("OTEL_RESOURCE_ATTRIBUTES", "novalue"),
    ] {
        let error = Telemetry::from_variables([(name, value)]).map(drop).unwrap_err();
        assert_eq!(error.problems()[0].variable(), Some(name), "{error}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_and_no_secret() {
    let file = File::new(
        "queue_capacity = 1\n[telemetry]\nenabld = 1\nmetrics_series_limit = 1\nserve.bearer_token = [\"canary1\"]\n\
         filter_parameters = [\"/(/\"]\notlp = 7\n[telemetry.otlp.headers]\nauthorization = { key = \"canary2\" }\n[telemtry]\n",
    );
    let Err(BuildError::Settings(error)) = Telemetry::builder().config_file(file.path()).build() else {
        panic!("this is no file of settings");
    };
    assert!(!error.to_string().contains("canary"), "{error}");
    let error = settings::check("[telemetry]\nserve.bearer_token = \"canary3\n").unwrap_err();
    assert!(!error.to_string().contains("canary") && error.problems()[0].line() == Some(2), "{error}");
    let text = std::fs::read_to_string(file.path()).unwrap().replace("otlp = 7\n", "");
    let error = settings::check(&text).unwrap_err();
    let lines: Vec<_> = error.problems().iter().map(|problem| (problem.line().unwrap(), problem.key())).collect();
    let wanted = [
        (1, "queue_capacity"),
        (3, "enabld"),
        (9, "telemtry"),
        (4, "metrics_series_limit"),
        (5, "serve.bearer_token"),
        (6, "filter_parameters"),
        (7, "otlp.headers"),
    ];
    for (line, key) in wanted {
        assert!(lines.contains(&(line, key)), "{line} {key} in {lines:?}");
    }
    assert_eq!(lines.len(), wanted.len(), "{error}");
    assert!(!error.to_string().contains("canary"), "{error}");
}

#[test]
fn a_file_that_is_not_there_is_a_mistake_where_it_was_named() {
    let Err(BuildError::Settings(error)) = Telemetry::builder().config_file("/nowhere/tasker.toml").build() else {
        panic!("there is no such file");
    };
    assert!(error.to_string().starts_with("/nowhere/tasker.toml: cannot be read"), "{error}");
    let named = [("TASKER_TELEMETRY__CONFIG_FILE", "/nowhere/tasker.toml")];
    assert!(Telemetry::from_variables(named).is_err());
}

#[test]
fn a_mistake_that_comes_to_light_late_is_told_where_it_was_made() {
    let file = File::new("[telemetry]\nmetrics_exporter = [\"otlp\"]\n\n[telemetry.otlp]\nprotocol = \"grpc\"\n");
    let Err(BuildError::Settings(error)) = Telemetry::builder().config_file(file.path()).build() else {
        panic!("metrics do not go over gRPC");
    };
    let problem = &error.problems()[0];
    assert_eq!((problem.line(), problem.key()), (Some(5), "otlp.protocol"), "{error}");
    for (line, says) in [
        (
            "otlp.endpoint = \"ftp://u:canary@h\"",
            "`otlp.endpoint` must be an address of a server, such as `http://host:4318`",
        ),
        (
            "otlp.logs.endpoint = \"a b\"",
            "`otlp.logs.endpoint` must be an address of a server, such as `http://host:4318`",
        ),
        (
            "pushgateway.url = \"/metrics\"",
            "`pushgateway.url` must be an address of a server, such as `http://host:4318`",
        ),
        ("statsd.address = \"localhost\"", "`statsd.address` cannot be used: invalid socket address"),
        ("serve.address = \"localhost\"", "`serve.address` cannot be used: invalid socket address"),
        (
            "store.url = \"postgres://u:canary@h:port/db\"",
            "`store.url` cannot be used: error with configuration: invalid port number",
        ),
    ] {
        let file = File::new(&format!("[telemetry]\n{line}\n"));
        let Err(BuildError::Settings(error)) = Telemetry::builder().config_file(file.path()).build() else {
            panic!("{line} is no mistake");
        };
        assert_eq!(error.to_string(), format!("{}:2: {says}", file.path().display()));
    }
}

#[test]
fn what_is_in_force_can_be_shown_without_secrets() {
    let telemetry = Telemetry::from_variables([
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=canary1"),
        ("TASKER_TELEMETRY__OTLP__TRACES__ENDPOINT", "http://canary2:canary3@127.0.0.1:1/v1/traces"),
        ("TASKER_TELEMETRY__SERVE__BEARER_TOKEN", "canary4"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.token=canary5,team=blue"),
    ]);
    let telemetry = telemetry.unwrap().build().unwrap();
    let settings = telemetry.settings();
    let json = serde_json::to_string(&settings).unwrap();
    for shown in [settings.to_string(), format!("{settings:?}"), json, format!("{telemetry:?}")] {
        assert!(!shown.contains("canary"), "{shown}");
    }
    assert!(settings.to_string().contains("blue"));
    assert_eq!(settings.iter().count(), settings::options().len());
    let code =
        Telemetry::builder().otlp_with(tasker_telemetry::trace::Otlp::http().endpoint("a:1").header("k", "canary6"));
    let telemetry = code.variables([("", "")]).build().unwrap();
    let (settings, get) = (telemetry.settings(), |key: &str| telemetry.settings().get(key).unwrap().clone());
    assert!(!settings.to_string().contains("canary"));
    assert_eq!(get("otlp.traces.endpoint").value, "\"http://a:1/v1/traces\"");
    assert_eq!((get("otlp.traces.endpoint").source, get("traces_exporter").source), (Source::Code, Source::Code));
    let none = Telemetry::builder().build().unwrap();
    assert_eq!(none.settings().get("traces_exporter").unwrap().value, "[\"none\"]");
}

#[test]
fn code_keeps_its_exporters() {
    let variables = [("OTEL_TRACES_EXPORTER", "otlp,console")];
    let otlp = tasker_telemetry::trace::Otlp::http().endpoint("http://127.0.0.1:1");
    let telemetry = Telemetry::from_variables(variables).unwrap().otlp_with(otlp).build().unwrap();
    let exporters: Vec<_> = telemetry.health().spans.unwrap().exporters.iter().map(|exporter| exporter.name).collect();
    assert_eq!(exporters, ["otlp", "console"]);
}
