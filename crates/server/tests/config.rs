//! What is said of a configuration file that is wrong, and that the generated files are current.

use miette::{GraphicalReportHandler, GraphicalTheme};
use tern_server::config::{Config, commented_default, reference};

/// A file, and what its report must hold.
const WRONG: &[(&str, &[&str])] = &[
    (
        "[smtp]\nmax_mesage_size = 4\n",
        &[
            "`[smtp]` has no option `max_mesage_size`",
            "tern.toml:2:1",
            "did you mean `max_message_size`?",
            "expected: hostname",
        ],
    ),
    (
        "[listener]\nsmtp = []\n",
        &[
            "the configuration has no option `listener`",
            "tern.toml:1:2",
            "did you mean `listeners`?",
        ],
    ),
    (
        "[imap]\nidle_timeout_secs = \"long\"\n",
        &[
            "`imap.idle_timeout_secs` has a wrong value",
            "tern.toml:2:21",
            "invalid type: string \"long\", expected u64",
        ],
    ),
    (
        "[smtp]\nbare_newline = \"rejct\"\n",
        &[
            "has no choice `rejct`",
            "tern.toml:2:16",
            "did you mean `reject`?",
            "expected: reject, normalise",
        ],
    ),
    (
        "[server]\nhostname = \"not a name\"\n",
        &[
            "`server.hostname` has a wrong value",
            "tern.toml:2:12",
            "`not a name` is not a domain name",
        ],
    ),
    (
        "[listeners]\nimap = [\"127.0.0.1\"]\n",
        &[
            "`listeners.imap[0]` has a wrong value",
            "tern.toml:2:9",
            "invalid socket address",
        ],
    ),
    (
        "[relay.routes]\n\"*\" = \"mail.example.net\"\n",
        &[
            "`relay.routes.*` has a wrong value",
            "tern.toml:2:7",
            "is not of the form host:port",
        ],
    ),
    (
        "[relay.routes]\n\"not a name\" = \"mail.example.net:25\"\n",
        &[
            "has a wrong value",
            "`not a name` is no domain name and not `*`",
        ],
    ),
    ("[server\n", &["not TOML", "tern.toml:1:"]),
    (
        "[limits]\nmax_connections = -1\n",
        &[
            "`limits.max_connections` has a wrong value",
            "tern.toml:2:19",
        ],
    ),
    (
        "[store]\ncolour = 1\n",
        &[
            "`[store]` has no option `colour`",
            "not known here",
            "expected: cache_bytes",
        ],
    ),
];

fn report(error: &tern_server::config::ConfigError) -> String {
    let mut out = String::new();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::none()).with_width(400);
    handler.render_report(&mut out, error).expect("a report");
    out
}

#[test]
fn a_wrong_file_is_shown_where_it_is_wrong() {
    for (text, expected) in WRONG {
        let error = Config::parse(text, "tern.toml").expect_err(text);
        let report = report(&error);
        for part in *expected {
            assert!(report.contains(part), "{text}\nlacks: {part}\n{report}");
        }
    }
}

#[test]
fn a_missing_file_says_what_to_do() {
    let error = Config::load("/nowhere/tern.toml".as_ref()).expect_err("no file");
    let report = report(&error);
    assert!(
        report.contains("/nowhere/tern.toml") && report.contains("tern init"),
        "{report}"
    );
}

#[test]
fn what_is_right_is_taken() {
    let text = "[server]\nhostname = \"MX.example.org\"\n[smtp]\nmax_hops = 7\n\
                [relay.routes]\n\"*\" = \"[::1]:25\"\n\"Other.Example\" = \"b:25\"\n[imap]\nhostname = \"imap.example.org\"\n";
    let config = Config::parse(text, "tern.toml").expect("right");
    assert_eq!(config.smtp.max_hops, 7);
    assert_eq!(config.smtp.hostname, config.server.hostname.as_str());
    assert_eq!(config.imap.hostname, "imap.example.org");
    assert_eq!(
        config.relay.routes.get("*").map(ToString::to_string),
        Some("[::1]:25".to_owned())
    );
    // Domains are compared in lower case.
    assert!(config.relay.routes.contains_key("other.example"));
    assert_eq!(
        Config::parse("", "empty").expect("right"),
        Config::default()
    );
}

/// `tern config default >config/tern.toml; tern config reference >docs/configuration.md`
#[test]
fn the_generated_files_are_current() {
    let default = include_str!("../../../config/tern.toml");
    assert!(
        default == commented_default(),
        "config/tern.toml is not what the source says"
    );
    let docs = include_str!("../../../docs/configuration.md");
    assert!(
        docs == reference(),
        "docs/configuration.md is not what the source says"
    );
}
