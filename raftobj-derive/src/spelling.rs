//! One spelling for a type, however its source is laid out: nodes compare it when they meet.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;

/// The types' spelling, separated by commas, with white space and trailing commas as rustfmt puts them on one line.
pub(crate) fn spell_all<'a, T: ToTokens + 'a>(types: impl IntoIterator<Item = &'a T>) -> String {
    types.into_iter().map(spell).collect::<Vec<_>>().join(", ")
}

/// A type's spelling.
pub(crate) fn spell(ty: impl ToTokens) -> String {
    let mut spelling = Spelling::default();
    spelling.stream(ty.into_token_stream(), Delimiter::None);
    spelling.text
}

#[derive(Default)]
struct Spelling {
    text: String,
    /// The last token needs a space before a word.
    after_word: bool,
    /// The last token is the first half of a punctuation of two.
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
                        // `->`, whose halves come one by one.
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
            // Made by a macro around what it was given; not in the source.
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

/// How many commas stand between these trees, not counting those in angle brackets.
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

    fn spelled(source: &str) -> String {
        spell(syn::parse_str::<Type>(source).expect("a type"))
    }

    #[test]
    fn layout_does_not_change_a_spelling() {
        let one = "std::collections::BTreeMap<String, Vec<(u8, [u16; 4])>>";
        for source in [
            one,
            "std :: collections :: BTreeMap < String , Vec < ( u8 , [ u16 ; 4 ] ) > >",
            "std::collections::BTreeMap<\n    String,\n    Vec<(\n        u8,\n        [u16; 4],\n    )>,\n>",
        ] {
            assert_eq!(spelled(source), one);
        }
    }

    #[test]
    fn spellings_are_rustfmts() {
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
            assert_eq!(spelled(source), source);
        }
    }

    #[test]
    fn one_tuples_keep_their_comma_and_others_lose_it() {
        assert_eq!(spelled("(u8 ,)"), "(u8,)");
        assert_eq!(spelled("(u8, u8,)"), "(u8, u8)");
        assert_eq!(spelled("Vec<u8,>"), "Vec<u8>");
    }

    #[test]
    fn all_types_are_one_list() {
        let types: Vec<Type> = vec![syn::parse_quote!(&str), syn::parse_quote!(u8)];
        assert_eq!(spell_all(&types), "&str, u8");
    }
}
