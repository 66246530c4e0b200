//! The independent mail clients that the interop tests drive: Debian's mbsync, interimap, swaks,
//! neomutt, curl, tmux, rsyslog, Chromium with its driver, oathtool, zbarimg and Mail::IMAPClient for
//! Perl, and PyPI's imapclient in an environment of the build cache. Never touches the user's own
//! Python packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::context::{Context, Outcome, find_program, run, succeeds};
use crate::setup;

/// Program to Debian package.
const PROGRAMS: [(&str, &str); 12] = [
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
];

/// Packages without a program that can be looked for: many machines have rsyslog, and few its TLS.
const PACKAGES: [&str; 2] = ["rsyslog", "rsyslog-gnutls"];

/// Perl module to Debian package. The first is only recommended by swaks, which speaks no TLS
/// without it.
const PERL_MODULES: [(&str, &str); 3] = [
    ("Net::SSLeay", "libnet-ssleay-perl"),
    ("IO::Socket::SSL", "libio-socket-ssl-perl"),
    ("Mail::IMAPClient", "libmail-imapclient-perl"),
];

const IMAPCLIENT: &str = "imapclient==4.1.0";

/// Installs what is missing and returns the Python that can `import imapclient`.
pub(crate) fn ensure(context: &Context) -> Outcome<PathBuf> {
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
    ensure_python(&context.cache.join(IMAPCLIENT.replace("==", "-")))
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
        true => run(pip(&python).arg(IMAPCLIENT)),
        false => install_beside(home, &python),
    };
    installed.map_err(|error| {
        format!("{error}\n  The interop tests need python3 with venv or pip: sudo apt-get install --yes python3-venv")
    })?;
    match works(&python) {
        true => Ok(python),
        false => Err(format!("{} cannot import imapclient", python.display())),
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
        .arg(IMAPCLIENT))?;
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
    python.is_file() && succeeds(Command::new(python).args(["-c", "import imapclient"]))
}
