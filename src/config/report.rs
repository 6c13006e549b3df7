//! What the config says of itself: files used, problems and warnings, each as `file:line: key: problem; hint`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::environment::Environment;
use crate::config::file::{DOTENV, Located};
use crate::settings::Problem;

/// Where each key stands.
#[derive(Debug, Default)]
pub struct Origins {
    /// The config file.
    pub file: Option<(PathBuf, Located)>,
    /// The variables of `.env.local` with their lines.
    pub dotenv: BTreeMap<String, usize>,
    /// The keys that the environment sets.
    pub environment: BTreeSet<Vec<String>>,
}

impl Origins {
    /// Whether the file itself sets a key, and no layer above it does.
    pub fn is_in_file(&self, path: &[String]) -> bool {
        let above = self.environment.contains(path) || self.dotenv.contains_key(&Environment::variable(path));
        !above && self.file.as_ref().is_some_and(|(_, located)| located.sets(path))
    }

    /// The place of a key: its variable, its line, or the line of the table it would stand in.
    fn place(&self, path: &[String]) -> Place {
        // A problem inside a value (a list's item, a secret's form) belongs to the key that was set.
        for length in (1..=path.len()).rev() {
            let variable = Environment::variable(&path[..length]);
            if self.environment.contains(&path[..length]) {
                return Place::Variable(variable);
            }
            if let Some(line) = self.dotenv.get(&variable) {
                return Place::Line { file: PathBuf::from(DOTENV), line: Some(*line) };
            }
        }
        // A table that only variables fill.
        let below = self.environment.iter().find(|variable| variable.starts_with(path) && !path.is_empty());
        if let Some(variable) = below.filter(|_| !self.file.as_ref().is_some_and(|(_, located)| located.sets(path))) {
            return Place::Variable(Environment::variable(variable));
        }
        match &self.file {
            Some((file, located)) => Place::Line { file: file.clone(), line: located.line(path) },
            None => Place::Nowhere,
        }
    }
}

/// Where a problem stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Line { file: PathBuf, line: Option<usize> },
    Variable(String),
    Nowhere,
}

/// A problem with its place, ready to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    place: Place,
    problem: Problem,
}

impl fmt::Display for Placed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Line { file, line: Some(line) } => write!(formatter, "{}:{line}: ", file.display())?,
            Place::Line { file, line: None } => write!(formatter, "{}: ", file.display())?,
            Place::Variable(name) => write!(formatter, "${name}: ")?,
            Place::Nowhere => {}
        }
        self.problem.fmt(formatter)
    }
}

/// Everything that reading the configuration found.
#[derive(Debug, Default)]
pub struct Report {
    /// The files that were used, lowest layer first.
    pub files: Vec<PathBuf>,
    /// What is wrong; the program does not run with it.
    pub problems: Vec<Placed>,
    /// What works, and should be known.
    pub warnings: Vec<Placed>,
    /// Whether what is wrong is that no source is configured.
    pub no_source: bool,
    /// Where each key stands.
    pub origins: Origins,
}

impl Report {
    /// Records a problem at its place.
    pub fn add(&mut self, problem: Problem) {
        let place = self.origins.place(&problem.path);
        self.problems.push(Placed { place, problem });
    }

    /// Records a problem of a whole file.
    pub fn at_file(&mut self, file: &Path, line: Option<usize>, problem: Problem) {
        self.problems.push(Placed { place: Place::Line { file: file.to_owned(), line }, problem });
    }

    /// Records a warning at a line of a file.
    pub fn warn_at_file(&mut self, file: &Path, line: usize, problem: Problem) {
        self.warnings.push(Placed { place: Place::Line { file: file.to_owned(), line: Some(line) }, problem });
    }

    /// Whether something is wrong at a key or below it.
    pub fn has_problem_under(&self, key: &str) -> bool {
        self.problems.iter().any(|placed| placed.problem.path.first().is_some_and(|first| first == key))
    }

    /// Puts everything in the order of files and lines.
    pub fn sort(&mut self) {
        self.problems.sort_by(|one, other| one.place.cmp(&other.place));
        self.warnings.sort_by(|one, other| one.place.cmp(&other.place));
    }

    /// Records a warning at its place.
    pub fn warn(&mut self, problem: Problem) {
        let place = self.origins.place(&problem.path);
        self.warnings.push(Placed { place, problem });
    }
}
