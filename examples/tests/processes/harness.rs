//! Runs processes of `kvstorage` and talks to them through pipes.
//!
//! A node answers each command with one line. Every wait is bounded by [`WAIT_MAX`], which is far more than any machine
//! needs: it lets a hung test fail and checks no speed.

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

/// The longest wait for anything.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(60);

/// Why a lock is not poisoned.
const NO_PANIC: &str = "no thread panics while it holds the lock";

/// Calls `poll` again and again until it returns a value.
pub(crate) fn wait_until<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = poll() {
            return value;
        }
        assert!(start.elapsed() < WAIT_MAX, "did not happen within {WAIT_MAX:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Prints to standard error, even when cargo captures the output of tests.
pub(crate) fn print_uncaptured(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
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

/// Whether the program exists and is not older than its sources. Cargo lists them in a file beside it.
fn is_fresh(program: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let Some(program_modified) = modified(program) else { return false };
    let list = fs::read_to_string(program.with_extension("d")).unwrap_or_default();
    let sources = list.split_once(": ").map_or("", |(_, sources)| sources).replace("\\ ", "\0");
    sources.split_whitespace().all(|source| {
        let source = source.replace('\0', " ");
        modified(Path::new(&source)).is_some_and(|source_modified| source_modified <= program_modified)
    })
}

/// An address that no other test uses: each call takes another host of 127.0.0.0/8, so the free port stays free. After
/// 255 calls, which takes minutes, hosts repeat, with ports that are free then.
pub(crate) fn address() -> String {
    static LAST: AtomicU8 = AtomicU8::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed) % u8::MAX;
    let [.., high, low] = std::process::id().to_be_bytes();
    let host = Ipv4Addr::new(127, high | 0x80, low, number + 1);
    let listener = TcpListener::bind((host, 0)).expect("loopback has ports");
    listener.local_addr().expect("it is bound").to_string()
}

/// Runs the program with this input until it ends.
pub(crate) fn run(directory: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = spawn(directory, &[], arguments, &[]);
    let mut stdin = child.stdin.take().expect("it is piped");
    // The program may end before it reads.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it is our child")
}

/// Runs a program that does not start: its exit code and its only line on standard error.
pub(crate) fn refusal(directory: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = run(directory, arguments, "");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(stdout, "", "{arguments:?}");
    let sentence = stderr.trim_end().to_owned();
    assert_eq!(sentence.lines().count(), 1, "one sentence for {arguments:?}: {stderr}");
    assert!(sentence.starts_with("kvstorage: "), "{sentence}");
    (status.code(), sentence)
}

/// Starts the program; a `launcher` that is not empty is put in front of its command line.
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
    /// What was read from its standard error.
    stderr: Arc<Mutex<String>>,
    stderr_pipe: Option<ChildStderr>,
}

impl Process {
    /// Starts the program in this working directory.
    pub(crate) fn start(directory: &Path, arguments: &[&str]) -> Process {
        Process::start_with(directory, arguments, &[])
    }

    /// The same, with these environment variables.
    pub(crate) fn start_with(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Process {
        Process::launch(directory, &[], arguments, environment).collect_stderr()
    }

    /// The same, with a launcher in front of its command line.
    pub(crate) fn start_with_launcher(launcher: &[String], directory: &Path, arguments: &[&str]) -> Process {
        Process::launch(directory, launcher, arguments, &[]).collect_stderr()
    }

    /// Reads its standard error in a thread.
    fn collect_stderr(mut self) -> Process {
        let lines = BufReader::new(self.stderr_pipe.take().expect("it is not being read yet"));
        let stderr = Arc::clone(&self.stderr);
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut stderr = stderr.lock().expect(NO_PANIC);
                stderr.push_str(&line);
                stderr.push('\n');
            }
        });
        self
    }

    /// The same, and its standard error is not read.
    pub(crate) fn start_with_unread_stderr(
        directory: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Process {
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
        let (name, stderr, stderr_pipe) = (arguments.join(" "), Arc::default(), child.stderr.take());
        Process { name, child, stdin, answers, stderr, stderr_pipe }
    }

    /// Sends a command. False if the process has ended.
    pub(crate) fn send(&mut self, command: &str) -> bool {
        let Some(stdin) = &mut self.stdin else { return false };
        stdin.write_all(format!("{command}\n").as_bytes()).is_ok()
    }

    /// Waits for the next answer; none if the process has ended.
    pub(crate) fn next_answer(&self) -> Option<String> {
        match self.try_next_answer() {
            Ok(line) => Some(line),
            Err(NoAnswer::Ended) => None,
            Err(NoAnswer::Hung) => panic!("no answer from {}; its stderr:\n{}", self.name, self.stderr()),
        }
    }

    /// Waits for the next answer.
    pub(crate) fn try_next_answer(&self) -> Result<String, NoAnswer> {
        self.answers.recv_timeout(WAIT_MAX).map_err(|error| match error {
            RecvTimeoutError::Disconnected => NoAnswer::Ended,
            RecvTimeoutError::Timeout => NoAnswer::Hung,
        })
    }

    /// Sends a command and waits for its answer.
    pub(crate) fn ask(&mut self, command: &str) -> String {
        self.send(command);
        let shown: String = command.chars().take(80).collect();
        self.next_answer()
            .unwrap_or_else(|| panic!("{} ended at `{shown}`; its stderr:\n{}", self.name, self.stderr()))
    }

    /// Sends a `set` or `pop` that must succeed.
    pub(crate) fn change(&mut self, command: &str) -> Changed {
        let answer = self.ask(command);
        Changed::parse(&answer)
            .unwrap_or_else(|| panic!("{}: {answer:.200}; its stderr:\n{}", self.name, self.stderr()))
    }

    /// The fields of its status line.
    pub(crate) fn status(&mut self) -> BTreeMap<String, String> {
        let line = self.ask("status");
        status_fields(&line).unwrap_or_else(|| panic!("not a status line: {line}"))
    }

    /// The whole log: the index and the text of each entry.
    pub(crate) fn log(&mut self) -> Vec<(u64, String)> {
        self.send("log 1000000");
        self.send("status");
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

    /// What it has written to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().expect(NO_PANIC).clone()
    }

    /// Waits until this text is in its standard error.
    pub(crate) fn wait_for_stderr(&self, part: &str) {
        wait_until(&format!("{} writes `{part}` to stderr", self.name), || {
            self.stderr().contains(part).then_some(())
        });
    }

    /// Its resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux lists it");
        line.trim().trim_end_matches(" kB").parse().expect("it is a number")
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("ids of processes fit");
        kill(Pid::from_raw(id), signal).expect("it is our child");
    }

    /// Closes its input.
    pub(crate) fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Closes its input and waits until it ends.
    pub(crate) fn close(&mut self) -> ExitStatus {
        self.close_input();
        self.wait()
    }

    /// Waits until it ends.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let name = self.name.clone();
        wait_until(&format!("{name} ends"), || self.child.try_wait().expect("it is our child"))
    }

    /// A function that sends it signals, for use while another thread owns the process.
    pub(crate) fn signaller(&self) -> impl Fn(Signal) + Send + use<> {
        let id = Pid::from_raw(i32::try_from(self.child.id()).expect("ids of processes fit"));
        // The id is not reused before `wait`, which only the owner calls.
        move |signal| kill(id, signal).expect("it is our child")
    }

    /// Sends SIGKILL and waits until it ends.
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

/// Why a process does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// It has ended, or has closed its output.
    Ended,
    /// It runs, and has not answered within [`WAIT_MAX`].
    Hung,
}

/// The fields of a status line.
pub(crate) fn status_fields(line: &str) -> Option<BTreeMap<String, String>> {
    let field = |field: &str| field.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    line.split(' ').map(field).collect()
}

/// `ok index=7 term=2 previous="old"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) index: u64,
    /// The previous value, as printed, without its quotes.
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

/// Fails unless `text` contains all the parts.
pub(crate) fn assert_contains(text: &str, parts: &[impl AsRef<str> + Debug]) {
    for part in parts {
        assert!(text.contains(part.as_ref()), "{part:?} is not in: {text}");
    }
}
