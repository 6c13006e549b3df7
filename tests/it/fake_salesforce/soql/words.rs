//! The words of a query: names, values, signs.
//!
//! Apart from the grammar, which sees no letters.

use chrono::DateTime;

use super::{Answer, LONGEST_STRING, Literal, wrong};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Word(String),
    Literal(Literal),
    Symbol(&'static str),
    End,
}

fn is_of_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.')
}

fn is_of_number(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | ':' | '.')
}

/// A number, a day or an instant; `None` for what only looks like one.
fn number_or_time(text: &str) -> Option<Literal> {
    if text.contains('T') {
        return DateTime::parse_from_rfc3339(text).ok().map(|instant| Literal::Instant(instant.to_utc()));
    }
    let day = || text.parse().ok().filter(|_| text.len() == 10).map(Literal::Day);
    text.parse().ok().map(Literal::Number).or_else(day)
}

/// The words of a query and where each begins.
pub(super) struct Tokens<'a> {
    soql: &'a str,
    letters: Vec<char>,
    place: usize,
}

impl Tokens<'_> {
    pub(super) fn all(soql: &str) -> Result<Vec<(Token, usize)>, Answer> {
        let mut own = Tokens { soql, letters: soql.chars().collect(), place: 0 };
        let mut found = Vec::new();
        loop {
            while own.peek().is_some_and(char::is_whitespace) {
                own.place += 1;
            }
            let at = own.place;
            let Some(first) = own.peek() else {
                found.push((Token::End, at));
                return Ok(found);
            };
            found.push((own.token(first, at)?, at));
        }
    }

    fn peek(&self) -> Option<char> {
        self.letters.get(self.place).copied()
    }

    fn token(&mut self, first: char, at: usize) -> Result<Token, Answer> {
        if first.is_ascii_alphabetic() {
            return Ok(Token::Word(self.take(is_of_word)));
        }
        if first.is_ascii_digit() || matches!(first, '-' | '+') {
            let text = self.take(is_of_number);
            let unexpected = || wrong("MALFORMED_QUERY", self.soql, at, &format!("unexpected token: '{text}'"));
            return number_or_time(&text).map(Token::Literal).ok_or_else(unexpected);
        }
        if first == '\'' {
            return self.string(at);
        }
        let symbol = ["!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", ","].into_iter().find(|symbol| {
            let end = (self.place + symbol.len()).min(self.letters.len());
            self.letters[self.place..end].iter().copied().eq(symbol.chars())
        });
        let symbol =
            symbol.ok_or_else(|| wrong("MALFORMED_QUERY", self.soql, at, &format!("unexpected token: '{first}'")))?;
        self.place += symbol.len();
        Ok(Token::Symbol(symbol))
    }

    fn take(&mut self, of: fn(char) -> bool) -> String {
        let taken: String = self.letters[self.place..].iter().copied().take_while(|letter| of(*letter)).collect();
        self.place += taken.chars().count();
        taken
    }

    /// A string in quotes. A backslash before anything but what SOQL knows is an error; `\_` and `\%` stay as they
    /// are, for `LIKE` to read.
    fn string(&mut self, at: usize) -> Result<Token, Answer> {
        let bad = |reason: &str| wrong("MALFORMED_QUERY", self.soql, at, reason);
        let mut text = String::new();
        let mut place = self.place + 1;
        loop {
            let Some(letter) = self.letters.get(place) else { return Err(bad("unexpected end of string")) };
            place += 1;
            match letter {
                '\'' => break,
                '\\' => {
                    match self.letters.get(place) {
                        Some('n' | 'N') => text.push('\n'),
                        Some('r' | 'R') => text.push('\r'),
                        Some('t' | 'T') => text.push('\t'),
                        Some('b' | 'B') => text.push('\u{8}'),
                        Some('f' | 'F') => text.push('\u{c}'),
                        Some(letter @ ('\'' | '"' | '\\')) => text.push(*letter),
                        Some(letter @ ('_' | '%')) => text.extend(['\\', *letter]),
                        _ => return Err(bad("Illegal escape sequence in string")),
                    }
                    place += 1;
                }
                letter => text.push(*letter),
            }
        }
        if place - self.place > LONGEST_STRING + 2 {
            return Err(bad("String literals in the WHERE clause may hold at most 4000 characters"));
        }
        self.place = place;
        Ok(Token::Literal(Literal::Text(text)))
    }
}
