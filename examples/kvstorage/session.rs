//! Reads commands, calls the node, prints answers.

use crate::answer::Style;
use crate::command::Command;
use crate::input::{Input, Next};
use crate::storage::KvStorage;
use raftobj::{Call, Replica};
use std::io::{self, Write};

/// Carries out one command after the other, until the input ends or the answers cannot be written.
pub(crate) fn run(mut input: Input, node: &Replica<KvStorage>) {
    let style = match input {
        Input::Terminal(_) => Style::Terminal,
        Input::Pipe => Style::Pipe,
    };
    let mut session = Session { node, style, ready: false };
    loop {
        let answer = match input.next() {
            Next::End => return,
            Next::Refused(reason) => style.error(&reason),
            Next::Line(line) => match Command::parse(&line) {
                Ok(None) => continue,
                Ok(Some(Command::Quit)) => return,
                Ok(Some(command)) => session.carry_out(command),
                Err(sentence) => style.error(&sentence),
            },
        };
        if print(&answer).is_err() {
            return;
        }
    }
}

struct Session<'a> {
    node: &'a Replica<KvStorage>,
    style: Style,
    /// Whether the node has caught up once since its start. Before that its object is being rebuilt from the log, and
    /// a key that is not there yet would look lost.
    ready: bool,
}

impl Session<'_> {
    fn carry_out(&mut self, command: Command) -> String {
        let Session { node, style, .. } = *self;
        match command {
            Command::Set { key, value } => self.changed(node.set(key, value)),
            Command::Pop { key } => self.changed(node.pop(&key)),
            Command::Get { key, linearizable } => {
                if linearizable || !self.ready {
                    if let Err(error) = node.linearizable().wait() {
                        return style.not_read(&error);
                    }
                    self.ready = true;
                }
                style.value(node.get(&key))
            }
            Command::Status => style.status(&node.node().status()),
            Command::Log { count } => style.log(&node.node().last_entries(count)),
            Command::Help => style.help(),
            Command::Quit => String::new(),
        }
    }

    /// Waits for a change. If it was applied at this node, so was everything before it.
    fn changed(&mut self, call: Call<Option<String>>) -> String {
        let outcome = call.wait();
        self.ready |= outcome.is_ok();
        self.style.changed(outcome)
    }
}

fn print(answer: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{answer}")?;
    out.flush()
}
