//! The paths that Rust code names: those of every `use`, and inline. What is
//! built for tests only does not count.
//!
//! Not here: what a macro expands to, and paths through a renamed crate.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// What a file names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Paths, one for each leaf of a `use`: `["crate", "addr", "Gpa"]`. A
    /// `super` that only leaves an inline module is left out.
    pub paths: Vec<Vec<String>>,
    /// The modules with files of their own that are built for tests only.
    pub test_modules: Vec<String>,
}

/// Reads the names off the text of a file.
pub fn names(text: &str) -> Names {
    let mut scan = Scan::default();
    scan.tokens(text.parse().expect("is Rust"));
    scan.names
}

#[derive(Default)]
struct Scan {
    names: Names,
    /// How many inline modules are around the code.
    depth: usize,
}

impl Scan {
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            at += self.step(&tokens[at..], at.checked_sub(1).map(|before| &tokens[before]));
        }
    }

    /// Reads what stands first; says how many tokens that are.
    fn step(&mut self, tokens: &[TokenTree], before: Option<&TokenTree>) -> usize {
        match tokens {
            [TokenTree::Punct(mark), TokenTree::Group(attribute), rest @ ..]
                if mark.as_char() == '#' && is_for_tests(attribute) =>
            {
                2 + self.skip_item(rest)
            }
            [TokenTree::Ident(word), TokenTree::Ident(_), TokenTree::Group(body), ..]
                if word == "mod" =>
            {
                self.depth += 1;
                self.tokens(body.stream());
                self.depth -= 1;
                3
            }
            [TokenTree::Group(group), ..] => {
                self.tokens(group.stream());
                1
            }
            [TokenTree::Ident(_), rest @ ..] if is_separator(rest) && !is_mark(before, ':') => {
                let (paths, len) = paths(tokens);
                let seen = paths.into_iter().filter_map(|path| seen(path, self.depth));
                self.names.paths.extend(seen);
                len
            }
            _ => 1,
        }
    }

    /// Skips further attributes and the item behind them.
    fn skip_item(&mut self, tokens: &[TokenTree]) -> usize {
        let is = |at: usize, word: &str| tokens[at].to_string() == word;
        let mut at = 0;
        while is(at, "#") {
            at += 2;
        }
        let words = || tokens[at..].iter().map(ToString::to_string);
        let has_body = !words().take(3).any(|word| ["use", "const", "static"].contains(&&*word));
        let ends = |token: &TokenTree| match token {
            TokenTree::Group(group) => has_body && group.delimiter() == Delimiter::Brace,
            token => is_mark(Some(token), ';'),
        };
        let len = tokens[at..].iter().position(ends).expect("an item ends");
        let item: Vec<String> = words().take(len).collect();
        if let [.., word, name] = &item[..]
            && word == "mod"
        {
            self.names.test_modules.push(name.clone());
        }
        at + len + 1
    }
}

/// The path as seen from the file's own module, for code `depth` inline modules
/// deep; `None` for a path inside the file.
fn seen(path: Vec<String>, depth: usize) -> Option<Vec<String>> {
    let up = path.iter().take_while(|word| *word == "super").count();
    let inside = (1..=depth).contains(&up);
    (!inside).then(|| path[up.min(depth)..].to_vec())
}

fn is_for_tests(attribute: &Group) -> bool {
    attribute.stream().to_string().replace(' ', "") == "cfg(test)"
}

fn is_mark(token: Option<&TokenTree>, mark: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == mark)
}

fn is_separator(tokens: &[TokenTree]) -> bool {
    is_mark(tokens.first(), ':') && is_mark(tokens.get(1), ':')
}

/// The paths of the tree that `tokens` begin with, and its length in tokens.
fn paths(tokens: &[TokenTree]) -> (Vec<Vec<String>>, usize) {
    let mut root = Vec::new();
    let mut at = 0;
    while let Some(TokenTree::Ident(word)) = tokens.get(at) {
        root.push(word.to_string());
        at += 1;
        if !is_separator(&tokens[at..]) {
            return (vec![root], at);
        }
        at += 2;
    }
    match tokens.get(at) {
        Some(TokenTree::Group(group)) => {
            let below = branches(group);
            let joined = below.into_iter().map(|path| [root.clone(), path].concat());
            (joined.collect(), at + 1)
        }
        // `*`, or the types of a call.
        _ => (vec![root], at),
    }
}

/// The paths inside the braces of a `use`.
fn branches(group: &Group) -> Vec<Vec<String>> {
    let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
    let parts = tokens.split(|token| is_mark(Some(token), ','));
    parts.filter(|part| !part.is_empty()).flat_map(|part| paths(part).0).collect()
}
