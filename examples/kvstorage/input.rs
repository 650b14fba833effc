//! Where lines come from: a terminal with editing and history, or a pipe.

use nix::sys::termios::{self, SetArg, Termios};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor, ExternalPrinter};
use std::io::{self, BufRead, IsTerminal, Read};
use std::path::PathBuf;

/// The source of commands.
pub(crate) enum Input {
    /// A terminal.
    Terminal(Box<Terminal>),
    /// A pipe or a file.
    Pipe,
}

/// A terminal with a line editor.
pub(crate) struct Terminal {
    editor: Editor<(), FileHistory>,
    history: Option<PathBuf>,
}

/// The next input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A line, without its end.
    Line(String),
    /// Why a line was skipped.
    Refused(String),
    /// End of the input, or an interrupt at the terminal.
    End,
}

const PROMPT: &str = "kvstorage> ";

/// The longest line on a pipe: a command of the largest size, with its quotes and escapes.
const LINE_BYTES_MAX: u64 = 128 << 20;

impl Input {
    /// Standard input. It counts as a terminal only if standard output is one too.
    pub(crate) fn open() -> Input {
        if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
            return Input::Pipe;
        }
        let config = Config::builder().auto_add_history(true).build();
        let Ok(mut editor) = Editor::<(), FileHistory>::with_config(config) else { return Input::Pipe };
        let history = std::env::home_dir().map(|home| home.join(".kvstorage_history"));
        if let Some(history) = &history {
            // At the first start there is none.
            let _ = editor.load_history(history);
        }
        Input::Terminal(Box::new(Terminal { editor, history }))
    }

    /// A printer that writes above the line that is being edited.
    pub(crate) fn printer(&mut self) -> Option<impl ExternalPrinter + Send + 'static> {
        match self {
            Input::Terminal(terminal) => terminal.editor.create_external_printer().ok(),
            Input::Pipe => None,
        }
    }

    /// Waits for a line.
    pub(crate) fn next(&mut self) -> Next {
        match self {
            Input::Terminal(terminal) => terminal.next(),
            Input::Pipe => next_of(&mut io::stdin().lock(), LINE_BYTES_MAX),
        }
    }
}

impl Terminal {
    fn next(&mut self) -> Next {
        match self.editor.readline(PROMPT) {
            Ok(line) => {
                if let Some(history) = &self.history {
                    // A history that cannot be written is no reason to stop.
                    let _ = self.editor.append_history(history);
                }
                Next::Line(line)
            }
            Err(ReadlineError::Interrupted | ReadlineError::Eof) => Next::End,
            Err(error) => {
                eprintln!("kvstorage: the terminal cannot be read: {error}");
                Next::End
            }
        }
    }
}

fn next_of(input: &mut impl BufRead, bytes_max: u64) -> Next {
    let mut line = Vec::new();
    let read = input.take(bytes_max).read_until(b'\n', &mut line);
    if let Err(error) = read {
        eprintln!("kvstorage: standard input cannot be read: {error}");
        return Next::End;
    }
    if line.is_empty() {
        return Next::End;
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() as u64 == bytes_max {
        return match input.skip_until(b'\n') {
            Ok(_) => Next::Refused(format!("a line of more than {bytes_max} bytes")),
            Err(_) => Next::End,
        };
    }
    match String::from_utf8(line) {
        Ok(line) => Next::Line(line),
        Err(_) => Next::Refused("a line that is not UTF-8".into()),
    }
}

/// Restores the terminal's settings when dropped: a signal can end the process while a line is being edited.
pub(crate) struct TerminalSettings(Option<Termios>);

impl TerminalSettings {
    /// Saves the settings, if standard input is a terminal.
    pub(crate) fn save() -> TerminalSettings {
        TerminalSettings(termios::tcgetattr(io::stdin()).ok())
    }
}

impl Drop for TerminalSettings {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            // It fails only if the terminal is gone.
            let _ = termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, settings);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If it fails, a line that is too long is carried out in pieces, or the lines after it are lost.
    #[test]
    fn unusable_lines_are_skipped_whole() {
        let mut input = &b"set a 1\n\nset b \xff\nset long long\nlast"[..];
        let mut next = || next_of(&mut input, 10);
        assert_eq!(next(), Next::Line("set a 1".into()));
        assert_eq!(next(), Next::Line(String::new()));
        assert!(matches!(next(), Next::Refused(why) if why.contains("UTF-8")));
        assert!(matches!(next(), Next::Refused(why) if why.contains("10 bytes")));
        assert_eq!(next(), Next::Line("last".into()));
        assert_eq!(next(), Next::End);
    }
}
