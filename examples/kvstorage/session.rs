//! Commands in, answers out.

use crate::answer::Style;
use crate::command::Command;
use crate::input::{Input, Next};
use crate::storage::KvStorage;
use raftobj::Replica;
use std::io::{self, Write};

/// Carries out one command after the other, until the input ends or nobody takes the answers.
pub(crate) fn run(mut input: Input, node: &Replica<KvStorage>) {
    let style = match input {
        Input::Terminal(_) => Style::Terminal,
        Input::Pipe => Style::Pipe,
    };
    loop {
        let answer = match input.next() {
            Next::End => return,
            Next::Refused(why) => style.error(&why),
            Next::Line(line) => match Command::parse(&line) {
                Ok(None) => continue,
                Ok(Some(Command::Quit)) => return,
                Ok(Some(command)) => carry_out(command, node, style),
                Err(sentence) => style.error(&sentence),
            },
        };
        if tell(&answer).is_err() {
            return;
        }
    }
}

fn carry_out(command: Command, node: &Replica<KvStorage>, style: Style) -> String {
    match command {
        Command::Set { key, value } => style.changed(node.set(key, value).wait()),
        Command::Pop { key } => style.changed(node.pop(&key).wait()),
        Command::Get { key, linearizable: false } => style.value(node.get(&key)),
        Command::Get { key, linearizable: true } => match node.linearizable().wait() {
            Ok(node) => style.value(node.get(&key)),
            Err(error) => style.not_read(&error),
        },
        Command::Status => style.status(&node.node().status()),
        Command::Log { count } => style.log(&node.node().log(count)),
        Command::Help => style.help(),
        Command::Quit => String::new(),
    }
}

fn tell(answer: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{answer}")?;
    out.flush()
}
