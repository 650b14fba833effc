//! Writes a type as one line that does not depend on the layout of its source: nodes compare it in the handshake.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;

/// The spelling of types, separated by commas. White space and trailing commas are as rustfmt writes them on one line.
pub(crate) fn spell_all<'a, T: ToTokens + 'a>(types: impl IntoIterator<Item = &'a T>) -> String {
    types.into_iter().map(spell).collect::<Vec<_>>().join(", ")
}

/// The spelling of a type.
pub(crate) fn spell(ty: impl ToTokens) -> String {
    let mut spelling = Spelling::default();
    spelling.stream(ty.into_token_stream(), Delimiter::None);
    spelling.text
}

#[derive(Default)]
struct Spelling {
    text: String,
    /// A word after the last token needs a space before it.
    after_word: bool,
    /// The last token is joined to the next one, as `-` is in `->`.
    joint: bool,
}

impl Spelling {
    fn stream(&mut self, tokens: TokenStream, delimiter: Delimiter) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        let is_one_tuple = delimiter == Delimiter::Parenthesis && commas(&trees) == 1;
        for (i, tree) in trees.iter().enumerate() {
            match tree {
                TokenTree::Group(group) => self.group(group.stream(), group.delimiter()),
                TokenTree::Ident(ident) => self.word(&ident.to_string()),
                TokenTree::Literal(literal) => self.word(&literal.to_string()),
                TokenTree::Punct(punct) if punct.as_char() == ',' => {
                    let next = trees.get(i + 1);
                    let ends_angles = matches!(next, Some(TokenTree::Punct(next)) if next.as_char() == '>');
                    if next.is_some() && !ends_angles {
                        self.punct(", ");
                    } else if next.is_none() && is_one_tuple {
                        self.punct(",");
                    }
                }
                TokenTree::Punct(punct) => {
                    let was_joint = std::mem::replace(&mut self.joint, punct.spacing() == Spacing::Joint);
                    match (punct.as_char(), was_joint, self.joint) {
                        // `->`: two tokens.
                        ('-', _, true) => self.punct(" -"),
                        ('>', true, _) if self.text.ends_with(" -") => self.punct("> "),
                        ('>', ..) => {
                            self.punct(">");
                            self.after_word = true;
                        }
                        ('+', false, _) => self.punct(" + "),
                        ('=', false, _) => self.punct(" = "),
                        (';', ..) => self.punct("; "),
                        (':', false, false) => self.punct(": "),
                        // The name of a lifetime follows.
                        ('\'', ..) => {
                            self.separate();
                            self.punct("'");
                        }
                        (other, ..) => self.punct(other.encode_utf8(&mut [0; 4])),
                    }
                }
            }
        }
    }

    fn group(&mut self, tokens: TokenStream, delimiter: Delimiter) {
        let (open, close) = match delimiter {
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::Bracket => ("[", "]"),
            Delimiter::Brace => ("{ ", " }"),
            // A macro put this around its argument; the source does not contain it.
            Delimiter::None => return self.stream(tokens, delimiter),
        };
        self.punct(open);
        self.stream(tokens, delimiter);
        self.punct(close);
    }

    fn word(&mut self, word: &str) {
        self.separate();
        self.text.push_str(word);
        self.after_word = true;
    }

    fn separate(&mut self) {
        if self.after_word {
            self.text.push(' ');
        }
        self.after_word = false;
    }

    fn punct(&mut self, punct: &str) {
        self.text.push_str(punct);
        self.after_word = false;
    }
}

/// Counts the commas between these trees, without those in angle brackets.
fn commas(trees: &[TokenTree]) -> usize {
    let mut depth = 0_usize;
    let mut count = 0;
    let mut after_dash = false;
    for tree in trees {
        let TokenTree::Punct(punct) = tree else {
            after_dash = false;
            continue;
        };
        match punct.as_char() {
            '<' => depth += 1,
            '>' if !after_dash => depth = depth.saturating_sub(1),
            ',' if depth == 0 => count += 1,
            _ => {}
        }
        after_dash = punct.as_char() == '-';
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::Type;

    fn respell(source: &str) -> String {
        spell(syn::parse_str::<Type>(source).expect("a type"))
    }

    #[test]
    fn spelling_does_not_depend_on_layout() {
        let one = "std::collections::BTreeMap<String, Vec<(u8, [u16; 4])>>";
        for source in [
            one,
            "std :: collections :: BTreeMap < String , Vec < ( u8 , [ u16 ; 4 ] ) > >",
            "std::collections::BTreeMap<\n    String,\n    Vec<(\n        u8,\n        [u16; 4],\n    )>,\n>",
        ] {
            assert_eq!(respell(source), one);
        }
    }

    #[test]
    fn spelling_is_that_of_rustfmt() {
        for source in [
            "&str",
            "&'a str",
            "&mut T",
            "Option<&[u8]>",
            "(String,)",
            "(BTreeMap<K, V>,)",
            "()",
            "<T as Trait>::Item",
            "Box<dyn Fn(u8) -> u16 + Send + 'static>",
            "for<'a> fn(&'a u8) -> bool",
            "Iter<Item = u8>",
            "[u8; { N }]",
            "*const u8",
            "::std::string::String",
        ] {
            assert_eq!(respell(source), source);
        }
    }

    #[test]
    fn one_tuples_keep_their_comma_and_others_lose_it() {
        assert_eq!(respell("(u8 ,)"), "(u8,)");
        assert_eq!(respell("(u8, u8,)"), "(u8, u8)");
        assert_eq!(respell("Vec<u8,>"), "Vec<u8>");
    }

    #[test]
    fn types_are_joined_by_commas() {
        let types: Vec<Type> = vec![syn::parse_quote!(&str), syn::parse_quote!(u8)];
        assert_eq!(spell_all(&types), "&str, u8");
    }
}
