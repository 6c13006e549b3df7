//! The SOQL that the fake understands, read into a tree; all else is refused as Salesforce refuses it.
//!
//! Apart from the records, so that no condition is ever passed over: what is not known here is `MALFORMED_QUERY`.

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;

use super::answers::{Answer, refused};
use super::org::Org;
use super::schema::{Field, Kind};

/// The longest text of a query, and of one string in it (contract §1.4).
const LONGEST: usize = 100_000;
const LONGEST_STRING: usize = 4_000;
/// The furthest a query may begin.
const FURTHEST: usize = 2_000;

/// Words that are no names, wherever they stand.
const RESERVED: [&str; 22] = [
    "AND", "OR", "NOT", "SELECT", "FROM", "WHERE", "ORDER", "BY", "LIMIT", "OFFSET", "GROUP", "HAVING", "FOR", "WITH",
    "USING", "TYPEOF", "LIKE", "IN", "INCLUDES", "EXCLUDES", "ALL", "UPDATE",
];

/// A field of the queried object, or of one that it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    /// The references that lead to the field's object, each with the name of the way and that object.
    pub(super) steps: Vec<Step>,
    pub(super) field: Field,
}

/// One reference on the way to a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) by: Field,
    pub(super) relationship: &'static str,
    pub(super) object: &'static str,
}

impl Path {
    /// As a column is called.
    pub(super) fn name(&self) -> String {
        self.steps.iter().map(|step| step.relationship).chain([self.field.name]).collect::<Vec<_>>().join(".")
    }
}

/// A value in a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Literal {
    Null,
    Text(String),
    Number(Decimal),
    Truth(bool),
    Day(NaiveDate),
    Instant(DateTime<Utc>),
}

/// How a field is compared with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
    Like,
    In,
    NotIn,
}

/// A condition; `P` is how it names fields.
#[derive(Debug, Clone)]
pub(super) enum Condition<P> {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Holds { path: P, operator: Operator, values: Vec<Literal> },
}

/// One step of an order.
#[derive(Debug, Clone)]
pub(super) struct Order<P> {
    pub(super) path: P,
    pub(super) descends: bool,
    pub(super) nulls_last: bool,
}

/// A query whose every name is known.
#[derive(Debug, Clone)]
pub(super) struct Query<P = Path> {
    /// None for `COUNT()`.
    pub(super) select: Option<Vec<P>>,
    pub(super) object: &'static str,
    pub(super) condition: Option<Condition<P>>,
    pub(super) order: Vec<Order<P>>,
    pub(super) limit: Option<usize>,
    pub(super) offset: usize,
}

/// A name and where it stands, for the error.
#[derive(Debug, Clone)]
struct Name {
    text: String,
    at: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Literal(Literal),
    Symbol(&'static str),
    End,
}

/// 400, with the query's own words in front of the reason.
fn wrong(code: &str, soql: &str, at: usize, reason: &str) -> Answer {
    let context: String = soql.chars().skip(at.saturating_sub(20)).take(60).collect();
    refused(code, &format!("\n{context}\n^\nERROR at Row:1:Column:{}\n{reason}", at + 1))
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
struct Tokens<'a> {
    soql: &'a str,
    letters: Vec<char>,
    place: usize,
}

impl Tokens<'_> {
    fn all(soql: &str) -> Result<Vec<(Token, usize)>, Answer> {
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

/// What has been read so far.
struct Parser<'a> {
    soql: &'a str,
    tokens: Vec<(Token, usize)>,
    place: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        &self.tokens[self.place].0
    }

    fn unexpected(&self) -> Answer {
        let (token, at) = &self.tokens[self.place];
        let what = match token {
            Token::Word(word) => format!("unexpected token: '{word}'"),
            Token::Symbol(symbol) => format!("unexpected token: '{symbol}'"),
            Token::Literal(_) => "unexpected literal".to_owned(),
            Token::End => "unexpected token: '<EOF>'".to_owned(),
        };
        wrong("MALFORMED_QUERY", self.soql, *at, &what)
    }

    /// Takes a word of the language if it is next.
    fn takes(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(own) if own.eq_ignore_ascii_case(word));
        self.place += usize::from(found);
        found
    }

    fn takes_symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(own) if *own == symbol);
        self.place += usize::from(found);
        found
    }

    fn needs(&mut self, word: &str) -> Result<(), Answer> {
        if self.takes(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn needs_symbol(&mut self, symbol: &str) -> Result<(), Answer> {
        if self.takes_symbol(symbol) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn name(&mut self) -> Result<Name, Answer> {
        let (token, at) = self.tokens[self.place].clone();
        match token {
            Token::Word(text) if !RESERVED.iter().any(|word| text.eq_ignore_ascii_case(word)) => {
                self.place += 1;
                Ok(Name { text, at })
            }
            _ => Err(self.unexpected()),
        }
    }

    fn literal(&mut self) -> Result<Literal, Answer> {
        let literal = match self.peek() {
            Token::Literal(literal) => literal.clone(),
            Token::Word(word) if word.eq_ignore_ascii_case("null") => Literal::Null,
            Token::Word(word) if word.eq_ignore_ascii_case("true") => Literal::Truth(true),
            Token::Word(word) if word.eq_ignore_ascii_case("false") => Literal::Truth(false),
            _ => return Err(self.unexpected()),
        };
        self.place += 1;
        Ok(literal)
    }

    fn number(&mut self) -> Result<usize, Answer> {
        let number = match self.peek() {
            Token::Literal(Literal::Number(number)) => number.to_string().parse().ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| self.unexpected())?;
        self.place += 1;
        Ok(number)
    }

    /// What stands between commas.
    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Result<T, Answer>) -> Result<Vec<T>, Answer> {
        let mut all = vec![one(self)?];
        while self.takes_symbol(",") {
            all.push(one(self)?);
        }
        Ok(all)
    }

    fn select(&mut self) -> Result<Option<Vec<Name>>, Answer> {
        self.needs("SELECT")?;
        let counts = matches!(self.peek(), Token::Word(word) if word.eq_ignore_ascii_case("count"));
        if counts && matches!(self.tokens[self.place + 1].0, Token::Symbol("(")) {
            self.place += 2;
            self.needs_symbol(")")?;
            return Ok(None);
        }
        self.list(Self::name).map(Some)
    }

    /// Conditions joined by one word; `AND` beside `OR` needs parentheses.
    fn conditions(&mut self) -> Result<Condition<Name>, Answer> {
        let first = self.condition()?;
        for (word, join) in [("AND", Condition::All as fn(Vec<_>) -> _), ("OR", Condition::Any)] {
            if !self.takes(word) {
                continue;
            }
            let mut all = vec![first, self.condition()?];
            while self.takes(word) {
                all.push(self.condition()?);
            }
            return Ok(join(all));
        }
        Ok(first)
    }

    fn condition(&mut self) -> Result<Condition<Name>, Answer> {
        if self.takes("NOT") {
            return Ok(Condition::Not(Box::new(self.condition()?)));
        }
        if self.takes_symbol("(") {
            let inner = self.conditions()?;
            self.needs_symbol(")")?;
            return Ok(inner);
        }
        let path = self.name()?;
        let operator = self.operator()?;
        let values = if matches!(operator, Operator::In | Operator::NotIn) {
            self.needs_symbol("(")?;
            let values = self.list(Self::literal)?;
            self.needs_symbol(")")?;
            values
        } else {
            vec![self.literal()?]
        };
        Ok(Condition::Holds { path, operator, values })
    }

    fn operator(&mut self) -> Result<Operator, Answer> {
        if self.takes("LIKE") {
            return Ok(Operator::Like);
        }
        if self.takes("IN") {
            return Ok(Operator::In);
        }
        if self.takes("NOT") {
            self.needs("IN")?;
            return Ok(Operator::NotIn);
        }
        let operator = match self.peek() {
            Token::Symbol("=") => Operator::Equal,
            Token::Symbol("!=" | "<>") => Operator::Unequal,
            Token::Symbol("<") => Operator::Less,
            Token::Symbol("<=") => Operator::AtMost,
            Token::Symbol(">") => Operator::More,
            Token::Symbol(">=") => Operator::AtLeast,
            _ => return Err(self.unexpected()),
        };
        self.place += 1;
        Ok(operator)
    }

    fn order(&mut self) -> Result<Order<Name>, Answer> {
        let path = self.name()?;
        let descends = !self.takes("ASC") && self.takes("DESC");
        let mut nulls_last = false;
        if self.takes("NULLS") {
            nulls_last = self.takes("LAST");
            if !nulls_last {
                self.needs("FIRST")?;
            }
        }
        Ok(Order { path, descends, nulls_last })
    }

    fn query(&mut self, org: &Org) -> Result<Query<Name>, Answer> {
        let select = self.select()?;
        self.needs("FROM")?;
        let name = self.name()?;
        let unknown = || {
            let reason = format!(
                "sObject type '{}' is not supported. If you are attempting to use a custom object, be sure to append \
                 the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate \
                 names.",
                name.text
            );
            wrong("INVALID_TYPE", self.soql, name.at, &reason)
        };
        let object = org.object(&name.text).ok_or_else(unknown)?;
        let condition = if self.takes("WHERE") { Some(self.conditions()?) } else { None };
        let mut order = Vec::new();
        if self.takes("ORDER") {
            self.needs("BY")?;
            order = self.list(Self::order)?;
        }
        let limit = if self.takes("LIMIT") { Some(self.number()?) } else { None };
        let offset = if self.takes("OFFSET") { self.number()? } else { 0 };
        if *self.peek() != Token::End {
            return Err(self.unexpected());
        }
        Ok(Query { select, object, condition, order, limit, offset })
    }
}

/// Finds out what the names of a query mean.
struct Names<'a> {
    soql: &'a str,
    org: &'a Org,
    object: &'static str,
}

impl Names<'_> {
    fn wrong(&self, at: usize, reason: &str) -> Answer {
        wrong("INVALID_FIELD", self.soql, at, reason)
    }

    fn path(&self, name: &Name) -> Result<Path, Answer> {
        let mut object = self.object;
        let mut steps = Vec::new();
        let mut parts: Vec<&str> = name.text.split('.').collect();
        let last = parts.pop().expect("a name has a part");
        for part in parts {
            let step = self.step(object, part).ok_or_else(|| {
                let reason = format!(
                    "Didn't understand relationship '{part}' in field path. If you are attempting to use a custom \
                     relationship, be sure to append the '__r' after the custom relationship name. Please reference \
                     your WSDL or the describe call for the appropriate names."
                );
                self.wrong(name.at, &reason)
            })?;
            object = step.object;
            steps.push(step);
        }
        let found = self.org.fields(object).into_iter().find(|field| field.name.eq_ignore_ascii_case(last));
        let field = found.ok_or_else(|| {
            let reason = format!(
                "No such column '{last}' on entity '{object}'. If you are attempting to use a custom field, be sure \
                 to append the '__c' after the custom field name. Please reference your WSDL or the describe call \
                 for the appropriate names."
            );
            self.wrong(name.at, &reason)
        })?;
        Ok(Path { steps, field })
    }

    fn step(&self, object: &str, part: &str) -> Option<Step> {
        let step = |by: Field| match by.kind {
            Kind::Reference { object, relationship } if relationship.eq_ignore_ascii_case(part) => {
                self.org.object(object).map(|object| Step { by, relationship, object })
            }
            _ => None,
        };
        self.org.fields(object).into_iter().find_map(step)
    }

    fn condition(&self, condition: Condition<Name>) -> Result<Condition<Path>, Answer> {
        let all = |inner: Vec<Condition<Name>>| {
            inner.into_iter().map(|one| self.condition(one)).collect::<Result<Vec<_>, Answer>>()
        };
        Ok(match condition {
            Condition::All(inner) => Condition::All(all(inner)?),
            Condition::Any(inner) => Condition::Any(all(inner)?),
            Condition::Not(inner) => Condition::Not(Box::new(self.condition(*inner)?)),
            Condition::Holds { path: name, operator, values } => {
                let path = self.path(&name)?;
                for value in &values {
                    self.admits(&name, path.field.kind, operator, value)?;
                }
                Condition::Holds { path, operator, values }
            }
        })
    }

    /// Whether a field of this kind can be compared so.
    fn admits(&self, name: &Name, kind: Kind, operator: Operator, value: &Literal) -> Result<(), Answer> {
        let is_text = matches!(kind, Kind::Text | Kind::Picklist);
        let compares = matches!(operator, Operator::Less | Operator::AtMost | Operator::More | Operator::AtLeast);
        if kind == Kind::LongText {
            let reason = format!("field '{}' can not be filtered in a query call", name.text);
            return Err(self.wrong(name.at, &reason));
        }
        if (operator == Operator::Like && !is_text)
            || (compares && matches!(kind, Kind::Truth | Kind::Id | Kind::Reference { .. }))
        {
            return Err(wrong("INVALID_QUERY_FILTER_OPERATOR", self.soql, name.at, "invalid operator on this field"));
        }
        let (fits, expected) = match kind {
            Kind::Text | Kind::Picklist | Kind::LongText => (matches!(value, Literal::Text(_)), "string"),
            Kind::Id | Kind::Reference { .. } => (matches!(value, Literal::Text(_)), "ID"),
            Kind::Currency | Kind::Percent | Kind::Double => (matches!(value, Literal::Number(_)), "double"),
            Kind::Int => (matches!(value, Literal::Number(_)), "int"),
            Kind::Truth => (matches!(value, Literal::Truth(_)), "boolean"),
            Kind::Day => (matches!(value, Literal::Day(_)), "date"),
            Kind::Instant => (matches!(value, Literal::Instant(_)), "dateTime"),
        };
        if !fits && *value != Literal::Null {
            let quotes = if matches!(expected, "string" | "ID") { "should" } else { "should not" };
            let reason = format!(
                "value of filter criterion for field '{}' must be of type {expected} and {quotes} be enclosed in quotes",
                name.text
            );
            return Err(self.wrong(name.at, &reason));
        }
        match value {
            Literal::Text(text) if expected == "ID" && !is_id(text) => {
                let reason = format!("invalid ID field: {text}");
                Err(wrong("INVALID_QUERY_FILTER_OPERATOR", self.soql, name.at, &reason))
            }
            _ => Ok(()),
        }
    }

    fn query(&self, raw: Query<Name>) -> Result<Query, Answer> {
        let select = raw.select.map(|names| self.select(&names)).transpose()?;
        let condition = raw.condition.map(|condition| self.condition(condition)).transpose()?;
        let order = |order: Order<Name>| {
            let path = self.path(&order.path)?;
            if path.field.kind == Kind::LongText {
                let reason = format!("field '{}' can not be sorted in a query call", order.path.text);
                return Err(wrong("MALFORMED_QUERY", self.soql, order.path.at, &reason));
            }
            Ok(Order { path, descends: order.descends, nulls_last: order.nulls_last })
        };
        let order = raw.order.into_iter().map(order).collect::<Result<_, Answer>>()?;
        let (object, limit, offset) = (raw.object, raw.limit, raw.offset);
        Ok(Query { select, object, condition, order, limit, offset })
    }

    fn select(&self, names: &[Name]) -> Result<Vec<Path>, Answer> {
        let mut paths: Vec<Path> = Vec::new();
        for name in names {
            let path = self.path(name)?;
            if paths.contains(&path) {
                let reason = format!("duplicate field selected: {}", path.name());
                return Err(wrong("MALFORMED_QUERY", self.soql, name.at, &reason));
            }
            paths.push(path);
        }
        Ok(paths)
    }
}

/// 15 characters, or 18 whose last three fit.
fn is_id(text: &str) -> bool {
    let letters = text.bytes().all(|letter| letter.is_ascii_alphanumeric());
    letters && (text.len() == 15 || (text.len() == 18 && super::org::suffixed(&text[..15]) == text))
}

/// Reads a query, or says what Salesforce says of it.
pub(super) fn read(soql: &str, org: &Org) -> Result<Query, Answer> {
    if soql.chars().count() > LONGEST {
        return Err(refused("MALFORMED_QUERY", "SOQL statements cannot be longer than 100000 characters."));
    }
    let mut parser = Parser { soql, tokens: Tokens::all(soql)?, place: 0 };
    let raw = parser.query(org)?;
    if raw.offset > FURTHEST {
        return Err(refused("NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000"));
    }
    Names { soql, org, object: raw.object }.query(raw)
}
