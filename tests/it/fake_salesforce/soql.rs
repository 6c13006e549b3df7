//! The SOQL that the fake understands, read into a tree; all else is refused as Salesforce refuses it.
//!
//! Apart from the records, so that no condition is ever passed over: what is not known here is `MALFORMED_QUERY`.

mod names;
mod words;

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;

use super::answers::{Answer, refused};
use super::org::Org;
use super::schema::{Field, Kind};

use self::names::Names;
use self::words::{Token, Tokens};

/// The longest text of a query, and of one string in it.
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

/// 400, with the query's own words in front of the reason.
fn wrong(code: &str, soql: &str, at: usize, reason: &str) -> Answer {
    let context: String = soql.chars().skip(at.saturating_sub(20)).take(60).collect();
    refused(code, &format!("\n{context}\n^\nERROR at Row:1:Column:{}\n{reason}", at + 1))
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
