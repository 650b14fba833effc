//! Splits a line into words, as a shell does.
//!
//! Blanks separate words. Within `"…"` they do not, and a backslash escapes as in JSON: a printed value can be pasted
//! back. Within `'…'` every character stands for itself.

use std::iter::Peekable;
use std::str::Chars;

/// Splits a line. The error is a sentence.
pub(crate) fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = line.chars().peekable();
    while let Some(&next) = rest.peek() {
        match next.is_whitespace() {
            true => drop(rest.next()),
            false => words.push(word(&mut rest)?),
        }
    }
    Ok(words)
}

fn word(rest: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    let mut word = String::new();
    while let Some(next) = rest.next_if(|next| !next.is_whitespace()) {
        match next {
            '\'' => single_quoted(rest, &mut word)?,
            '"' => double_quoted(rest, &mut word)?,
            plain => word.push(plain),
        }
    }
    Ok(word)
}

fn single_quoted(rest: &mut Peekable<Chars<'_>>, word: &mut String) -> Result<(), String> {
    for next in rest {
        match next {
            '\'' => return Ok(()),
            raw => word.push(raw),
        }
    }
    Err("a quote ' is not closed".into())
}

fn double_quoted(rest: &mut Peekable<Chars<'_>>, word: &mut String) -> Result<(), String> {
    while let Some(next) = rest.next() {
        match next {
            '"' => return Ok(()),
            '\\' => word.push(escape(rest)?),
            raw => word.push(raw),
        }
    }
    Err("a quote \" is not closed".into())
}

fn escape(rest: &mut Peekable<Chars<'_>>) -> Result<char, String> {
    match rest.next() {
        Some(same @ ('"' | '\\' | '/')) => Ok(same),
        Some('n') => Ok('\n'),
        Some('r') => Ok('\r'),
        Some('t') => Ok('\t'),
        Some('b') => Ok('\u{8}'),
        Some('f') => Ok('\u{c}'),
        Some('u') => {
            let digits: String = rest.by_ref().take(4).collect();
            let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4);
            code.and_then(char::from_u32).ok_or(format!("\\u{digits} is not a character"))
        }
        Some(other) => {
            Err(format!("\\{other} means nothing within double quotes; write \\\\ for a backslash"))
        }
        None => Err("a quote \" is not closed".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If it fails, a key or a value differs from what was typed.
    #[test]
    fn blanks_within_quotes_do_not_split() {
        for (line, words) in [
            ("", vec![]),
            ("  set\ta   b ", vec!["set", "a", "b"]),
            (r#"set a "two words""#, vec!["set", "a", "two words"]),
            (r#"set "" ''"#, vec!["set", "", ""]),
            (r#"a"b c"'d "e'f"#, vec![r#"ab cd "ef"#]),
            (r#""\"\\\n\u0007" '\n'"#, vec!["\"\\\n\u{7}", r"\n"]),
            (r"C:\dir", vec![r"C:\dir"]),
        ] {
            assert_eq!(
                split(line).as_deref(),
                Ok(&words.iter().map(|w| w.to_string()).collect::<Vec<_>>()[..])
            );
        }
    }

    /// If it fails, half a command is carried out.
    #[test]
    fn an_open_quote_or_a_wrong_escape_is_refused() {
        for line in [r#"set a "b"#, "set a 'b", r#"set a "b\"#, r#"set a "\q""#, r#""\u12""#, r#""\ud800""#] {
            assert!(split(line).is_err(), "{line}");
        }
    }
}
