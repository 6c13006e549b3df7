//! Fills in the words in angle brackets of `hostile_cases.toml`.

use super::kinds::{Kind, Next};

/// What the words stand for in one answer.
pub(super) struct Words<'a> {
    pub(super) kind: &'a Kind,
    /// What was asked for.
    pub(super) path: &'a str,
    /// The number of the answer, from 0.
    pub(super) number: usize,
    /// The credentials that were sent.
    pub(super) echo: &'a str,
    /// This host, and one that nobody may ask.
    pub(super) own: &'a str,
    pub(super) foreign: &'a str,
}

/// The words there are.
const KNOWN: [&str; 12] =
    ["open", "close", "link", "deal", "deals", "echo", "own", "foreign", "n", "spaces", "repeat", "byte"];

impl Words<'_> {
    /// The text with every known word filled in; other brackets stay as they are.
    pub(super) fn fill(&self, text: &str) -> Vec<u8> {
        let mut filled = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find('<') {
            filled.extend_from_slice(&rest.as_bytes()[..start]);
            rest = &rest[start..];
            if let Some((word, behind)) = word(rest) {
                filled.extend(self.say(word));
                rest = behind;
            } else {
                filled.push(b'<');
                rest = &rest[1..];
            }
        }
        filled.extend_from_slice(rest.as_bytes());
        filled
    }

    fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.fill(text)).into_owned()
    }

    fn say(&self, word: &str) -> Vec<u8> {
        let (name, argument) = word.split_once(' ').unwrap_or((word, ""));
        let count = || argument.split(' ').next().and_then(|count| count.parse::<usize>().ok()).unwrap_or_default();
        match name {
            "open" => format!("{}{}", self.around().0, self.kind.open).into(),
            "close" if argument.is_empty() => self.close(Next::None),
            "close" => self.close(Next::Cursor(&self.text(argument))),
            "link" => self.close(Next::Link(&self.text(argument))),
            "deal" => self.deal(argument),
            "deals" => {
                let deals: Vec<Vec<u8>> = (1..=count()).map(|id| self.deal(&id.to_string())).collect();
                deals.join(&b","[..])
            }
            "echo" => self.echo.into(),
            "own" => self.own.into(),
            "foreign" => self.foreign.into(),
            "n" => self.number.to_string().into(),
            "spaces" => vec![b' '; count()],
            "byte" => vec![u8::from_str_radix(argument, 16).expect("a byte is two digits")],
            _ => self.fill(argument.split_once(' ').map_or("", |(_, text)| text)).repeat(count()),
        }
    }

    fn around(&self) -> (&'static str, &'static str) {
        (self.kind.around)(self.path)
    }

    fn close(&self, next: Next<'_>) -> Vec<u8> {
        format!("{}{}", (self.kind.close)(next), self.around().1).into()
    }

    /// `ID`, and perhaps a name or an amount that is not like any other. Bytes, since some are no text.
    fn deal(&self, argument: &str) -> Vec<u8> {
        let (id, change) = argument.split_once(' ').unwrap_or((argument, ""));
        let id = self.text(id);
        let (key, value) = change.split_once('=').unwrap_or_default();
        let mark = |own: &str, usual: &str| if own == key { "\0".to_owned() } else { usual.to_owned() };
        let deal = (self.kind.deal)(&id, &mark("name", &format!("\"Deal {id}\"")), &mark("amount", "\"12.50\""));
        let mut parts = deal.splitn(2, '\0');
        let mut filled = parts.next().unwrap_or_default().as_bytes().to_vec();
        if let Some(behind) = parts.next() {
            filled.extend(self.fill(value));
            filled.extend_from_slice(behind.as_bytes());
        }
        filled
    }
}

/// A known word at the start of `text`, without its brackets, and what stands behind it.
fn word(text: &str) -> Option<(&str, &str)> {
    let name: &str = text[1..].split(|letter: char| !letter.is_ascii_lowercase()).next()?;
    if !KNOWN.contains(&name) {
        return None;
    }
    let mut depth = 0_usize;
    for (place, letter) in text.char_indices() {
        match letter {
            '<' => depth += 1,
            '>' if depth == 1 => return Some((&text[1..place], &text[place + 1..])),
            '>' => depth -= 1,
            _ => {}
        }
    }
    None
}
