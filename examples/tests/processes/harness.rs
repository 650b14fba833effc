//! Processes of `kvstorage`, spoken to through pipes.
//!
//! A node's answers come one line a command; whoever waits for one waits at most [`PATIENCE`], which is far more
//! than any machine needs: tests fail by it, they are not timed by it.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

/// The longest that anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until there is an answer.
pub(crate) fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Says something on standard error, also where the output of a test that passes is not shown.
pub(crate) fn say(sentence: &str) {
    let _ = writeln!(io::stderr(), "{sentence}");
}

/// `kvstorage`, as cargo builds it beside the tests.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| example("kvstorage"))
}

/// The program of an example, as cargo builds it beside the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let profile = test.parent().and_then(Path::parent).expect("tests are in target/<profile>/deps");
    let program = profile.join("examples").join(name);
    assert!(
        is_fresh(&program),
        "{} is missing or older than its sources, because cargo does not build examples for a single test target; \
         run `cargo test -p raftobj-examples`, or first `cargo build --example {name}`",
        program.display()
    );
    program
}

/// Whether the program is there, and not older than any of its sources, which cargo lists beside it.
fn is_fresh(program: &Path) -> bool {
    let made = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let Some(program_made) = made(program) else { return false };
    let list = fs::read_to_string(program.with_extension("d")).unwrap_or_default();
    let sources = list.split_once(": ").map_or("", |(_, sources)| sources).replace("\\ ", "\0");
    sources.split_whitespace().all(|source| {
        let source = source.replace('\0', " ");
        made(Path::new(&source)).is_some_and(|source_made| source_made <= program_made)
    })
}

/// An address that no other test has: the host is this test's own, in 127.0.0.0/8, so its free port stays free. After
/// 255 of them the hosts are taken again, with ports that are free then: only who runs for minutes comes so far.
pub(crate) fn address() -> String {
    static LAST: AtomicU8 = AtomicU8::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed) % u8::MAX;
    let [.., high, low] = std::process::id().to_be_bytes();
    let host = Ipv4Addr::new(127, high | 0x80, low, number + 1);
    let listener = TcpListener::bind((host, 0)).expect("loopback has ports");
    listener.local_addr().expect("it is bound").to_string()
}

/// Runs the program to its end, with this input.
pub(crate) fn run(directory: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = spawn(directory, &[], arguments, &[]);
    let mut stdin = child.stdin.take().expect("it is piped");
    // The program may refuse to run before it reads.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it is a child of ours")
}

/// The exit code and the only line on standard error of a program that does not start.
pub(crate) fn refusal(directory: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = run(directory, arguments, "");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(stdout, "", "{arguments:?}");
    let sentence = stderr.trim_end().to_owned();
    assert_eq!(sentence.lines().count(), 1, "one sentence for {arguments:?}: {stderr}");
    assert!(sentence.starts_with("kvstorage: "), "{sentence}");
    (status.code(), sentence)
}

/// Runs the program, by way of `launcher` if that is not empty.
fn spawn(directory: &Path, launcher: &[String], arguments: &[&str], environment: &[(&str, &str)]) -> Child {
    let mut command = match launcher.split_first() {
        None => Command::new(program()),
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(program());
            command
        }
    };
    command
        .args(arguments)
        .current_dir(directory)
        .env_remove("RUST_LOG")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be run")
}

/// A running `kvstorage`. Killed when it is dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    answers: Receiver<String>,
    stderr: Arc<Mutex<String>>,
    unread: Option<ChildStderr>,
}

impl Process {
    /// Starts the program; its relative paths begin at `directory`.
    pub(crate) fn start(directory: &Path, arguments: &[&str]) -> Process {
        Process::start_with(directory, arguments, &[])
    }

    /// The same, with these variables in its environment.
    pub(crate) fn start_with(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Process {
        Process::hear(Process::launch(directory, &[], arguments, environment))
    }

    /// The same, by way of a launcher.
    pub(crate) fn start_by(launcher: &[String], directory: &Path, arguments: &[&str]) -> Process {
        Process::hear(Process::launch(directory, launcher, arguments, &[]))
    }

    /// Reads what it writes to standard error.
    fn hear(mut process: Process) -> Process {
        let lines = BufReader::new(process.unread.take().expect("nobody reads it yet"));
        let told = Arc::clone(&process.stderr);
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut told = told.lock().expect("nobody panics with it");
                told.push_str(&line);
                told.push('\n');
            }
        });
        process
    }

    /// The same, and nobody reads its standard error.
    pub(crate) fn start_deaf(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Process {
        Process::launch(directory, &[], arguments, environment)
    }

    fn launch(
        directory: &Path,
        launcher: &[String],
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Process {
        let mut child = spawn(directory, launcher, arguments, environment);
        let (sender, answers) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let stdin = child.stdin.take();
        let (name, stderr, unread) = (arguments.join(" "), Arc::default(), child.stderr.take());
        Process { name, child, stdin, answers, stderr, unread }
    }

    /// Types a command. False if the process is gone.
    pub(crate) fn type_in(&mut self, command: &str) -> bool {
        let Some(stdin) = &mut self.stdin else { return false };
        stdin.write_all(format!("{command}\n").as_bytes()).is_ok()
    }

    /// The next line of its answers; none if the process is gone.
    pub(crate) fn next_answer(&self) -> Option<String> {
        match self.listen() {
            Ok(line) => Some(line),
            Err(Silence::Gone) => None,
            Err(Silence::Hung) => panic!("no answer from {}; it told:\n{}", self.name, self.told()),
        }
    }

    /// The next line of its answers, or why there is none.
    pub(crate) fn listen(&self) -> Result<String, Silence> {
        self.answers.recv_timeout(PATIENCE).map_err(|error| match error {
            RecvTimeoutError::Disconnected => Silence::Gone,
            RecvTimeoutError::Timeout => Silence::Hung,
        })
    }

    /// A command and the line that answers it.
    pub(crate) fn ask(&mut self, command: &str) -> String {
        self.type_in(command);
        let shown: String = command.chars().take(80).collect();
        self.next_answer().unwrap_or_else(|| panic!("{} is gone at `{shown}`:\n{}", self.name, self.told()))
    }

    /// `set` or `pop`, which must succeed.
    pub(crate) fn change(&mut self, command: &str) -> Changed {
        let answer = self.ask(command);
        Changed::parse(&answer)
            .unwrap_or_else(|| panic!("{}: {answer:.200}; it told:\n{}", self.name, self.told()))
    }

    /// The fields of `status`.
    pub(crate) fn status(&mut self) -> BTreeMap<String, String> {
        let line = self.ask("status");
        status_fields(&line).unwrap_or_else(|| panic!("a status: {line}"))
    }

    /// The whole log: each entry's index, and what it says.
    pub(crate) fn log(&mut self) -> Vec<(u64, String)> {
        self.type_in("log 1000000");
        self.type_in("status");
        let mut entries = Vec::new();
        loop {
            let line = self.next_answer().expect("it runs");
            if line.starts_with("node=") {
                return entries;
            }
            let mut words = line.splitn(3, ' ');
            match (words.next().and_then(|index| index.parse().ok()), words.nth(1)) {
                (Some(index), Some(what)) => entries.push((index, what.to_owned())),
                _ => assert_eq!(line, "none"),
            }
        }
    }

    /// What it has written to standard error.
    pub(crate) fn told(&self) -> String {
        self.stderr.lock().expect("nobody panics with it").clone()
    }

    /// Waits until it has told this.
    pub(crate) fn wait_told(&self, part: &str) {
        wait_until(&format!("{} tells `{part}`", self.name), || self.told().contains(part).then_some(()));
    }

    /// Memory that the process really has, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells it");
        line.trim().trim_end_matches(" kB").parse().expect("it is a number")
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("ids of processes fit");
        kill(Pid::from_raw(id), signal).expect("it is a child of ours");
    }

    /// Ends its input.
    pub(crate) fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Ends its input and waits for its end.
    pub(crate) fn close(&mut self) -> ExitStatus {
        self.close_input();
        self.wait()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let name = self.name.clone();
        wait_until(&format!("{name} ends"), || self.child.try_wait().expect("it is a child of ours"))
    }

    /// What sends it signals, for use while another thread talks to it.
    pub(crate) fn signaller(&self) -> impl Fn(Signal) + Send + use<> {
        let id = Pid::from_raw(i32::try_from(self.child.id()).expect("ids of processes fit"));
        // Its id is its own until it is waited for, which only its owner does.
        move |signal| kill(id, signal).expect("it is a child of ours")
    }

    /// SIGKILL, and waits for its end.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Why a process says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// It has ended, or is about to.
    Gone,
    /// It runs, and has not answered within [`PATIENCE`].
    Hung,
}

/// The fields of a line that answers `status`.
pub(crate) fn status_fields(line: &str) -> Option<BTreeMap<String, String>> {
    let field = |field: &str| field.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    line.split(' ').map(field).collect()
}

/// `ok index=7 term=2 previous="old"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) index: u64,
    /// As printed, without its quotes.
    pub(crate) previous: Option<String>,
}

impl Changed {
    pub(crate) fn parse(answer: &str) -> Option<Changed> {
        let (index, rest) = answer.strip_prefix("ok index=")?.split_once(" term=")?;
        let (term, previous) = rest.split_once(" previous=")?;
        term.parse::<u64>().ok()?;
        let previous = match previous {
            "none" => None,
            quoted => Some(quoted.strip_prefix('"')?.strip_suffix('"')?.to_owned()),
        };
        Some(Changed { index: index.parse().ok()?, previous })
    }
}

/// Fails unless `text` has all the parts.
pub(crate) fn assert_tells(text: &str, parts: &[impl AsRef<str> + Debug]) {
    for part in parts {
        assert!(text.contains(part.as_ref()), "no {part:?} in: {text}");
    }
}
