//! Durable calls a second of three processes on loopback.
//!
//! Run it with `cargo bench -p raftobj --bench calls [-- CALLERS…]`. For each number of callers (default: 1, 16, 64,
//! 256 and 1,024) three new processes found a cluster in a temporary directory. The callers run in the leader's
//! process, each with one call of a 64-byte value in flight: one second to warm up, then three seconds measured. Then
//! the same at a follower. `BENCH_DIR` sets the parent of the temporary directories.
//!
//! CPU seconds are those of the three processes together, callers included.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads clocks")]
#![allow(missing_docs, reason = "a benchmark has no users")]
#![allow(clippy::unwrap_used, reason = "a benchmark that fails may stop")]

use raftobj::{Replica, Role, replicated};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[replicated]
#[derive(Default)]
pub struct Map {
    data: BTreeMap<u64, String>,
}

#[replicated]
impl Map {
    #[replicated]
    pub fn set(&mut self, key: u64, value: &str) {
        self.data.insert(key, value.to_owned());
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    match arguments.first().map(String::as_str) {
        Some("node") => node(&arguments[1..]),
        _ => {
            let counts: Vec<usize> = arguments.iter().filter_map(|a| a.parse().ok()).collect();
            let counts = if counts.is_empty() { vec![1, 16, 64, 256, 1024] } else { counts };
            println!("callers  at        calls/s     p50 us     p99 us  CPU s per million");
            for callers in counts {
                measure(callers, Role::Leader);
                measure(callers, Role::Follower);
            }
        }
    }
}

/// One process: a node that reads commands from its standard input.
fn node(arguments: &[String]) {
    let (own, peers, dir) = (&arguments[0], &arguments[2..], &arguments[1]);
    let replica: Replica<Map> =
        Replica::builder(own).peers(peers).data_dir(dir).start(Map::default()).unwrap();
    replica.ready().deadline(Duration::from_secs(30)).wait().unwrap();
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        match line.split_once(' ') {
            Some(("load", callers)) => println!("{}", load(&replica, callers.parse().unwrap())),
            Some(("cpu", _)) => println!("{}", cpu_seconds()),
            _ => println!("{}", replica.node().status().role),
        }
    }
}

/// Runs the callers, and returns the number of calls in [`MEASURED`], and their p50 and p99 in microseconds.
fn load(replica: &Replica<Map>, callers: usize) -> String {
    let (measuring, done) = (AtomicBool::new(false), AtomicBool::new(false));
    let latencies = std::thread::scope(|scope| {
        let caller = |id: usize| {
            let (replica, measuring, done) = (replica.clone(), &measuring, &done);
            move || {
                let value = "v".repeat(64);
                let mut latencies = Vec::new();
                for i in 0.. {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    let start = Instant::now();
                    let _ = replica.set((id * 1_000 + i % 1_000) as u64, &value).wait().unwrap();
                    if measuring.load(Ordering::Relaxed) {
                        latencies.push(start.elapsed().as_micros() as u64);
                    }
                }
                latencies
            }
        };
        let threads: Vec<_> = (0..callers).map(|id| scope.spawn(caller(id))).collect();
        std::thread::sleep(Duration::from_secs(1));
        measuring.store(true, Ordering::Relaxed);
        std::thread::sleep(MEASURED);
        done.store(true, Ordering::Relaxed);
        let mut all: Vec<u64> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        all.sort_unstable();
        all
    });
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    format!("{} {} {}", latencies.len(), at(0.5), at(0.99))
}

const MEASURED: Duration = Duration::from_secs(3);

struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn ask(&mut self, command: &str) -> String {
        writeln!(self.input, "{command}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn cpu(&mut self) -> f64 {
        self.ask("cpu now").parse().unwrap()
    }
}

fn measure(callers: usize, at: Role) {
    let base = std::env::var_os("BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = base.join(format!("raftobj-bench-{}", std::process::id()));
    let addresses = free_addresses();
    let mut processes: Vec<Process> = addresses.iter().map(|own| start(own, &addresses, &dir)).collect();
    let position = processes.iter_mut().position(|process| process.ask("role") == at.to_string()).unwrap();
    let before: f64 = processes.iter_mut().map(Process::cpu).sum();
    let result = processes[position].ask(&format!("load {callers}"));
    let cpu = processes.iter_mut().map(Process::cpu).sum::<f64>() - before;
    for process in processes {
        let Process { mut child, input, .. } = process;
        drop(input);
        child.wait().unwrap();
    }
    std::fs::remove_dir_all(&dir).unwrap();
    let numbers: Vec<f64> = result.split(' ').map(|number| number.parse().unwrap()).collect();
    let rate = numbers[0] / MEASURED.as_secs_f64();
    // The CPU seconds include warming up, assumed to be at the same rate.
    let millions = rate * (MEASURED.as_secs_f64() + 1.0) / 1e6;
    println!(
        "{callers:7}  {at:8} {rate:9.0} {:10.0} {:10.0} {:18.1}",
        numbers[1],
        numbers[2],
        cpu / millions
    );
}

fn start(own: &str, addresses: &[String], dir: &Path) -> Process {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("node").arg(own).arg(dir.join(own.replace(':', "-")));
    command.args(addresses.iter().filter(|address| *address != own));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    Process { child, input, output }
}

fn free_addresses() -> Vec<String> {
    let listeners: Vec<TcpListener> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect()
}

/// User and system time of this process: fields 14 and 15 of /proc/self/stat, in hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
