//! The command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Print [`USAGE`].
    Help,
    /// Run one node, or the cluster of three in this process.
    Run(Arguments),
}

/// How to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// One node of a cluster of processes; without it, three nodes in this process.
    pub(crate) node: Option<NodeArguments>,
    /// A command without an outcome after this time fails.
    pub(crate) deadline: Duration,
    /// Run without reading input, until a signal.
    pub(crate) serve: bool,
}

/// Which node to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeArguments {
    /// Where the peers reach it.
    pub(crate) address: String,
    /// The other nodes' addresses.
    pub(crate) peers: Vec<String>,
    /// Where it keeps its files.
    pub(crate) data_dir: PathBuf,
    /// Where it listens, if not at its address.
    pub(crate) bind: Option<String>,
}

/// Why the command line is wrong, as a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UsageError(pub(crate) String);

/// The answer to `--help`.
pub(crate) const USAGE: &str = "\
A dictionary of strings, replicated by raftobj.

    kvstorage                                three nodes in this process, a prompt on one of them
    kvstorage SELF [PEER]... [OPTION]...     one node: its own address first, then its peers' (host:port)

    --data-dir DIR        the node's files; otherwise ./kvstorage-data/<address, ':' and brackets as '-'>
    --deadline SECONDS    how long a command may take: 5 (the default), 2.5, 500ms
    --bind ADDRESS        listen here instead of at SELF: 0.0.0.0:4321
    --serve               do not read commands; run until SIGINT or SIGTERM
    --help                this text

All nodes get the same addresses, each with its own one first. A new cluster waits once for all of them.";

const DEADLINE_DEFAULT: Duration = Duration::from_secs(5);
/// A day: a longer deadline is probably a wrong unit.
const DEADLINE_MAX: Duration = Duration::from_secs(86_400);

impl Task {
    /// Reads the arguments after the program's name.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Task, UsageError> {
        let mut addresses = Vec::new();
        let (mut data_dir, mut deadline, mut bind, mut serve) = (None, None, None, false);
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let Some(text) = argument.to_str() else {
                return Err(UsageError(format!("{argument:?} is neither an address nor an option")));
            };
            let (name, attached) = match text.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(OsString::from(value))),
                _ => (text, None),
            };
            if attached.is_some() && matches!(name, "--serve" | "--help") {
                return Err(UsageError(format!("{name} takes no value")));
            }
            let mut value = |what: &str| {
                let next = attached.clone().or_else(|| arguments.next());
                let next =
                    next.filter(|value| !value.is_empty() && !value.as_encoded_bytes().starts_with(b"--"));
                next.ok_or_else(|| UsageError(format!("{name} needs {what}")))
            };
            match name {
                "--help" | "-h" => return Ok(Task::Help),
                "--serve" => serve = true,
                "--data-dir" => once(name, &mut data_dir, PathBuf::from(value("a directory")?))?,
                "--deadline" => once(name, &mut deadline, seconds(&value("a number of seconds")?)?)?,
                "--bind" => once(name, &mut bind, listen_address(&value("an address")?)?)?,
                _ if name.starts_with('-') => {
                    return Err(UsageError(format!("there is no option {name}; --help lists them")));
                }
                _ => addresses.push(text.to_owned()),
            }
        }
        let deadline = deadline.unwrap_or(DEADLINE_DEFAULT);
        let mut addresses = addresses.into_iter();
        let node = match addresses.next() {
            Some(address) => {
                let data_dir = data_dir.unwrap_or_else(|| data_dir_default(&address));
                Some(NodeArguments { address, peers: addresses.collect(), data_dir, bind })
            }
            None if data_dir.is_some() => return Err(needs_address("--data-dir")),
            None if bind.is_some() => return Err(needs_address("--bind")),
            None => None,
        };
        Ok(Task::Run(Arguments { node, deadline, serve }))
    }
}

fn once<T>(name: &str, option: &mut Option<T>, value: T) -> Result<(), UsageError> {
    match option.replace(value) {
        Some(_) => Err(UsageError(format!("{name} is given twice"))),
        None => Ok(()),
    }
}

fn needs_address(option: &str) -> UsageError {
    UsageError(format!(
        "{option} needs the node's own address before it: kvstorage 127.0.0.1:4321 {option} …"
    ))
}

fn data_dir_default(address: &str) -> PathBuf {
    // The node's own normal form; otherwise `[0::1]:1` and `[::1]:1` would have two directories.
    let literal = address.parse::<SocketAddr>().map(|literal| literal.to_string());
    let address = literal.unwrap_or_else(|_| address.to_ascii_lowercase());
    let name = address.replace([':', '[', ']'], "-");
    PathBuf::from("./kvstorage-data").join(name)
}

/// `5`, `2.5`, `2.5s` or `500ms`.
fn seconds(value: &OsString) -> Result<Duration, UsageError> {
    let usage_error = || UsageError(format!("--deadline {value:?} is not a time; write 5, 2.5 or 500ms"));
    let text = value.to_str().ok_or_else(usage_error)?;
    let (number, unit_s) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(usage_error());
    }
    let number: f64 = number.parse().map_err(|_| usage_error())?;
    let deadline = Duration::try_from_secs_f64(number * unit_s).unwrap_or(Duration::MAX);
    if deadline.is_zero() || deadline > DEADLINE_MAX {
        return Err(UsageError(format!(
            "--deadline {text} is out of range; it must be above 0 and at most a day"
        )));
    }
    Ok(deadline)
}

fn listen_address(value: &OsString) -> Result<String, UsageError> {
    let text = value.to_str().unwrap_or_default();
    match text.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>())) {
        Some((host, Ok(1..))) if !host.is_empty() => Ok(text.to_owned()),
        _ => Err(UsageError(format!(
            "--bind {value:?} is not an address; write host:port, for example 0.0.0.0:4321"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Task, UsageError> {
        Task::parse(line.split_whitespace().map(OsString::from))
    }

    fn node(line: &str) -> NodeArguments {
        match parse(line) {
            Ok(Task::Run(Arguments { node: Some(node), .. })) => node,
            other => panic!("`{line}` gives {other:?}"),
        }
    }

    /// If it fails, users' data is not where the documentation says.
    #[test]
    fn each_address_has_its_own_default_directory() {
        for (address, directory) in [
            ("127.0.0.1:4321", "./kvstorage-data/127.0.0.1-4321"),
            ("[::1]:4321", "./kvstorage-data/---1--4321"),
            ("[0::1]:4321", "./kvstorage-data/---1--4321"),
            ("LocalHost:1", "./kvstorage-data/localhost-1"),
        ] {
            assert_eq!(node(address).data_dir, PathBuf::from(directory));
        }
        assert_eq!(node("a:1 b:2 --data-dir elsewhere").data_dir, PathBuf::from("elsewhere"));
        assert_eq!(node("a:1 b:2 c:3").peers, ["b:2", "c:3"]);
    }

    /// If it fails, a documented way to write the deadline is refused or misread.
    #[test]
    fn a_deadline_without_a_unit_is_in_seconds() {
        for (given, ms) in [("5", 5000), ("2.5", 2500), ("2.5s", 2500), ("500ms", 500)] {
            let expected = Arguments { node: None, deadline: Duration::from_millis(ms), serve: false };
            assert_eq!(parse(&format!("--deadline {given}")), Ok(Task::Run(expected.clone())));
            assert_eq!(parse(&format!("--deadline={given}")), Ok(Task::Run(expected)));
        }
        for wrong in ["0", "-1", "soon", "1e9", "inf", "nan", "99999999", "ms", "5m"] {
            assert!(parse(&format!("--deadline {wrong}")).is_err(), "{wrong}");
        }
    }
}
