//! A first configuration and a data directory.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};
use nix::unistd::Uid;
use tern_base::Domain;
use tern_mailbox::NoListener;

use super::Outcome;
use super::args::InitArgs;
use crate::admin::Admin;
use crate::clock::{self, OsEntropy};
use crate::config::{Config, commented_default};
use crate::control::request::{Request, Response};
use crate::control::user_name;
use crate::parts::{self, Parts};
use crate::tls::Certificates;

/// Where everything is kept where nothing else is said.
const DATA_DIR: &str = "/var/lib/tern";

/// Writes the configuration file, unless there is one, and makes what it names.
pub(super) fn init(path: &Path, args: &InitArgs) -> Result<Outcome> {
    if path.exists() {
        println!("{} is there already and stays as it is", path.display());
        tell_unused(path, args)?;
    } else {
        let text = first_config(args)?;
        // Nothing is written that would not load.
        Config::parse(&text, &path.display().to_string())?;
        write_new(path, &text)
            .into_diagnostic()
            .wrap_err_with(|| path.display().to_string())?;
        println!("{} written", path.display());
    }
    let config = Config::load(path)?;
    let parts = parts::open(&config, Arc::new(NoListener), &mut OsEntropy).into_diagnostic()?;
    let data_dir = &config.server.data_dir;
    let hostname = config.server.hostname.as_str();
    let certificates = Certificates::open(&config.tls, data_dir, hostname).into_diagnostic()?;
    println!("store in {}", data_dir.display());
    println!(
        "certificate in {}",
        certificates.certificate_path().display()
    );
    if let Some(domain) = &args.domain
        && is_there(&parts, domain)?
    {
        println!("domain {domain} is there already");
    } else if let Some(domain) = &args.domain {
        let request = Request::DomainAdd {
            domain: domain.clone(),
        };
        let admin = Admin::alone(&parts);
        let operator = user_name(Uid::current());
        match admin.execute(&request, &operator, clock::now(), &mut OsEntropy) {
            Response::Done(answer) => println!("{}", answer.text),
            Response::Failed(why) => return Err(miette!("{why}")),
        }
    }
    println!("next: `tern account add`, then `tern serve`");
    Ok(Outcome::Done)
}

/// What was said on the command line and is otherwise in the file.
fn tell_unused(path: &Path, args: &InitArgs) -> Result<()> {
    let server = Config::load(path)?.server;
    let hostname = server.hostname.as_str();
    if args.hostname != hostname {
        println!(
            "`--hostname {}` is not used: it says {hostname}",
            args.hostname
        );
    }
    let absolute = |path: &Path| std::path::absolute(path).into_diagnostic();
    if let Some(data_dir) = &args.data_dir
        && absolute(data_dir)? != absolute(&server.data_dir)?
    {
        let (wanted, data_dir) = (data_dir.display(), server.data_dir.display());
        println!("`--data-dir {wanted}` is not used: it says {data_dir}");
    }
    Ok(())
}

fn is_there(parts: &Parts, domain: &str) -> Result<bool> {
    let Ok(domain) = Domain::parse(domain) else {
        return Ok(false);
    };
    let found = tern_directory::domain(&*parts.engine, &domain).into_diagnostic()?;
    Ok(found.is_some())
}

fn first_config(args: &InitArgs) -> Result<String> {
    let quote = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let data_dir = args.data_dir.as_deref().unwrap_or(Path::new(DATA_DIR));
    let data_dir = std::path::absolute(data_dir).into_diagnostic()?;
    let data_dir = data_dir
        .to_str()
        .ok_or_else(|| miette!("the data directory is not UTF-8"))?;
    let mut text = commented_default();
    for (key, value) in [
        ("hostname", quote(&args.hostname)),
        ("data_dir", quote(data_dir)),
    ] {
        let line = |line: &str| line.starts_with(&format!("#{key} = "));
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        // The first of that name is the one of `[server]`.
        let at = lines.iter().position(|l| line(l));
        let set = |(n, l): (usize, String)| match Some(n) == at {
            true => format!("{key} = {value}"),
            false => l,
        };
        text = lines
            .into_iter()
            .enumerate()
            .map(set)
            .collect::<Vec<_>>()
            .join("\n");
        text.push('\n');
    }
    Ok(text)
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)?
        .write_all(text.as_bytes())
}
