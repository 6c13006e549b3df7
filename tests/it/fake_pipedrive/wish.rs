//! What a request to Pipedrive says, and which deals it wants.

use chrono::{DateTime, Utc};

use super::account::{Deal, status};
use super::answers::{Answer, invalid};
use super::{Asked, params};

/// What a request says, read once.
pub(super) struct Wish {
    params: Vec<(String, String)>,
}

impl Wish {
    pub(super) fn of(asked: &Asked) -> Self {
        Self { params: params(&asked.query) }
    }

    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Answer> {
        let number = |text: &str| text.parse().map_err(|_| invalid(&format!("{name} must be a number")));
        self.param(name).map(number).transpose()
    }

    /// A list joined by commas, of no more than `most`.
    pub(super) fn list(&self, name: &str, most: usize) -> Result<Option<Vec<&str>>, Answer> {
        let list: Option<Vec<&str>> = self.param(name).map(|text| text.split(',').collect());
        if list.as_ref().is_some_and(|list| list.len() > most) {
            return Err(invalid(&format!("{name} must not hold more than {most}")));
        }
        Ok(list)
    }

    pub(super) fn ids(&self) -> Result<Option<Vec<u64>>, Answer> {
        let id = |text: &str| text.parse().map_err(|_| invalid("ids must be numbers"));
        self.list("ids", 100)?.map(|list| list.into_iter().map(id).collect()).transpose()
    }

    pub(super) fn instant(&self, name: &str) -> Result<Option<DateTime<Utc>>, Answer> {
        let instant = |text: &str| {
            let read = DateTime::parse_from_rfc3339(text).map_err(|_| invalid(&format!("{name} must be a date")))?;
            Ok(read.to_utc())
        };
        self.param(name).map(instant).transpose()
    }

    pub(super) fn truth(&self, name: &str) -> Result<bool, Answer> {
        match self.param(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(invalid(&format!("{name} must be true or false"))),
        }
    }
}

/// Which deals are wanted.
pub(super) struct Selection<'a> {
    ids: Option<Vec<u64>>,
    pub(super) owner: Option<u64>,
    organization: Option<u64>,
    pipeline: Option<u64>,
    stage: Option<u64>,
    /// `None`: those that are not deleted.
    pub(super) statuses: Option<Vec<&'a str>>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
}

impl<'a> Selection<'a> {
    pub(super) fn of(wish: &'a Wish) -> Result<Self, Answer> {
        if wish.param("filter_id").is_some() {
            return Err(invalid("no such filter"));
        }
        let statuses = wish.list("status", 4)?;
        let known = |status: &&str| ["open", "won", "lost", "deleted"].contains(status);
        if !statuses.iter().flatten().all(known) {
            return Err(invalid("status must be one of [open, won, lost, deleted]"));
        }
        Ok(Self {
            ids: wish.ids()?,
            owner: wish.number("owner_id")?,
            organization: wish.number("org_id")?,
            pipeline: wish.number("pipeline_id")?,
            stage: wish.number("stage_id")?,
            statuses,
            since: wish.instant("updated_since")?,
            until: wish.instant("updated_until")?,
        })
    }

    pub(super) fn holds(&self, deal: &Deal) -> bool {
        let is = |wanted: Option<u64>, own: Option<u64>| wanted.is_none_or(|wanted| own == Some(wanted));
        let status = match &self.statuses {
            Some(statuses) => statuses.contains(&status(deal)),
            None => deal.deleted_at.is_none(),
        };
        status
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&deal.id))
            && is(self.owner, deal.owner)
            && is(self.organization, deal.organization)
            && is(self.pipeline, Some(deal.pipeline))
            && is(self.stage, Some(deal.stage))
            && self.since.is_none_or(|since| deal.updated_at >= since)
            && self.until.is_none_or(|until| deal.updated_at < until)
    }
}
