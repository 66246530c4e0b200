//! The independent mail clients that the interop tests drive: Debian's mbsync, interimap, swaks,
//! neomutt, curl, tmux, rsyslog, Chromium with its driver, oathtool, zbarimg and Mail::IMAPClient for
//! Perl; in the build cache PyPI's imapclient, jmapc, jmaplib, http-ece and py-vapid, npm's jmap-jam with
//! eventsource, npm's jmap-client-ts, an agent of Rust's jmap-client, and Rust's meli. Never touches the
//! user's own packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::context::{Context, Outcome, find_program, run, succeeds};
use crate::setup;

/// Program to Debian package.
const PROGRAMS: [(&str, &str); 15] = [
    ("mbsync", "isync"),
    ("interimap", "interimap"),
    ("swaks", "swaks"),
    ("neomutt", "neomutt"),
    ("tmux", "tmux"),
    ("curl", "curl"),
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("oathtool", "oathtool"),
    ("zbarimg", "zbar-tools"),
    ("python3", "python3"),
    ("openssl", "openssl"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("pkg-config", "pkg-config"),
];

/// Packages without a program that can be looked for: many machines have rsyslog, and few its TLS; meli is
/// linked with OpenSSL.
const PACKAGES: [&str; 3] = ["rsyslog", "rsyslog-gnutls", "libssl-dev"];

/// Perl module to Debian package. The first is only recommended by swaks, which speaks no TLS
/// without it.
const PERL_MODULES: [(&str, &str); 3] = [
    ("Net::SSLeay", "libnet-ssleay-perl"),
    ("IO::Socket::SSL", "libio-socket-ssl-perl"),
    ("Mail::IMAPClient", "libmail-imapclient-perl"),
];

/// From PyPI.
const PYTHON: [&str; 5] = [
    "imapclient==4.1.0",
    "jmapc==0.4.0",
    "jmaplib==3.0.1",
    "http-ece==1.2.1",
    "py-vapid==1.9.4",
];
/// From npm. The last is what jmap-jam listens by, where there is no browser.
const NODE: [&str; 3] = [
    "jmap-jam@0.13.1",
    "jmap-client-ts@1.0.0",
    "eventsource@4.1.1",
];

/// From Rust's registry.
const MELI: &str = "0.9.0";

/// Where the clients are that are not on the path.
pub(crate) struct Clients {
    /// A Python that can import what is in [`PYTHON`].
    python: PathBuf,
    /// A folder with the `node_modules` of [`NODE`].
    node: PathBuf,
    /// The agent of jmap-client.
    jmap_client: PathBuf,
    /// The mail client meli.
    meli: PathBuf,
}

impl Clients {
    /// Tells the tests.
    pub(crate) fn tell(&self, command: &mut Command) {
        command.env("TERN_TEST_PYTHON", &self.python);
        command.env("TERN_TEST_NODE", &self.node);
        command.env("TERN_TEST_JMAP_CLIENT", &self.jmap_client);
        command.env("TERN_TEST_MELI", &self.meli);
    }
}

/// Installs what is missing.
pub(crate) fn ensure(context: &Context) -> Outcome<Clients> {
    let missing = PROGRAMS
        .iter()
        .filter(|(program, _)| find_program(program).is_none());
    let mut missing: Vec<&str> = missing.map(|(_, package)| *package).collect();
    let lacks = |module: &str| {
        let option = format!("-M{module}");
        !succeeds(Command::new("perl").args([&option, "-e", "1"]))
    };
    let modules = PERL_MODULES.iter().filter(|(module, _)| lacks(module));
    missing.extend(modules.map(|(_, package)| *package));
    let is_there = |package: &&str| succeeds(Command::new("dpkg").args(["--status", package]));
    missing.extend(PACKAGES.iter().filter(|package| !is_there(package)));
    setup::install(&missing)?;
    let cached = |kind: &str, packages: &[&str]| {
        let names = packages.iter().map(|name| name.replace(['=', '@'], "-"));
        let names: Vec<String> = names.map(|name| name.replace("--", "-")).collect();
        context.cache.join(format!("{kind}-{}", names.join("-")))
    };
    Ok(Clients {
        python: ensure_python(&cached("python", &PYTHON))?,
        node: ensure_node(cached("node", &NODE))?,
        jmap_client: ensure_jmap_client(context)?,
        meli: ensure_meli(context)?,
    })
}

fn ensure_node(home: PathBuf) -> Outcome<PathBuf> {
    // npm writes it last.
    if home.join("node_modules/.package-lock.json").is_file() {
        return Ok(home);
    }
    fs::create_dir_all(&home)
        .and_then(|()| fs::write(home.join("package.json"), "{\"private\": true}\n"))
        .map_err(|error| format!("{}: {error}", home.display()))?;
    let mut command = Command::new("npm");
    command.current_dir(&home).args([
        "install",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--save-exact",
    ]);
    run(command.args(NODE))?;
    Ok(home)
}

/// The agent is no member of the workspace, so that what the client brings along is in no binary of
/// the house; its own lock file says what that is.
fn ensure_jmap_client(context: &Context) -> Outcome<PathBuf> {
    let manifest = context
        .root
        .join("tests/interop/clients/jmap_client/Cargo.toml");
    let target = context.cache.join("jmap-client");
    let mut command = context.cargo_raw(&["build", "--quiet", "--locked", "--manifest-path"]);
    command.arg(manifest).arg("--target-dir").arg(&target);
    run(&mut command)?;
    Ok(target.join("debug/jmap-client-agent"))
}

/// Debian's is too old for JMAP. Of its features only those that JMAP needs: a few minutes on two cores, once.
fn ensure_meli(context: &Context) -> Outcome<PathBuf> {
    let home = context.cache.join(format!("meli-{MELI}"));
    let meli = home.join("bin/meli");
    // Cargo puts it there last.
    if meli.is_file() {
        return Ok(meli);
    }
    let mut command = context.cargo_raw(&["install", "meli", "--version", MELI, "--locked"]);
    command.args(["--quiet", "--debug", "--no-default-features"]);
    command.args(["--features", "jmap,http-static", "--root"]);
    let target = home.join("target");
    command.arg(&home).env("CARGO_TARGET_DIR", &target);
    run(command.env("CARGO_PROFILE_DEV_DEBUG", "0"))?;
    let _ = fs::remove_dir_all(target);
    Ok(meli)
}

fn ensure_python(home: &Path) -> Outcome<PathBuf> {
    let python = home.join("bin/python");
    if works(&python) {
        return Ok(python);
    }
    let _ = fs::remove_dir_all(home);
    // Debian ships venv without ensurepip unless python3-venv is there.
    let made = venv(home) || (setup::install(&["python3-venv"]).is_ok() && venv(home));
    let installed = match made {
        true => run(pip(&python).args(PYTHON)),
        false => install_beside(home, &python),
    };
    installed.map_err(|error| {
        format!("{error}\n  The interop tests need python3 with venv or pip: sudo apt-get install --yes python3-venv")
    })?;
    match works(&python) {
        true => Ok(python),
        false => Err(format!(
            "{} cannot import what was installed for it",
            python.display()
        )),
    }
}

fn venv(home: &Path) -> bool {
    succeeds(Command::new("python3").args(["-m", "venv"]).arg(home))
}

fn pip(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    command
}

/// Without venv: the packages in a folder, and a `python` that knows the folder.
fn install_beside(home: &Path, python: &Path) -> Outcome {
    let packages = home.join("packages");
    run(pip(Path::new("python3"))
        .arg("--target")
        .arg(&packages)
        .args(PYTHON))?;
    let script = format!(
        "#!/bin/sh\nPYTHONPATH='{}' exec python3 \"$@\"\n",
        packages.display().to_string().replace('\'', "'\\''")
    );
    fs::create_dir_all(home.join("bin"))
        .and_then(|()| fs::write(python, script))
        .map_err(|error| format!("{}: {error}", python.display()))?;
    run(Command::new("chmod").arg("+x").arg(python))
}

fn works(python: &Path) -> bool {
    python.is_file()
        && succeeds(
            Command::new(python).args(["-c", "import imapclient, jmapc, jmap, http_ece, py_vapid"]),
        )
}
