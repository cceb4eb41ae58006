//! Which link gives whom a channel, when there is to be a further link, and when one is parted with.
//!
//! Must not know what runs on a channel.

use std::time::Duration;

use tokio::time::Instant;

use super::super::further::IDLE;
use super::super::member::{Home, LinkId, Member};
use super::{Driver, Wanted};
use crate::error::Error;

/// The links for commands to begin on, in the order of preference. What is typed does not wait behind
/// a transfer where another link has a place.
fn preferred(members: &mut [Member]) -> Vec<&mut Member> {
    let (behind, mut free): (Vec<_>, Vec<_>) =
        members.iter_mut().partition(|member| member.has_bulk());
    if !free.iter().any(|member| member.has_place()) {
        free.extend(behind);
    }
    free
}

impl Driver {
    /// Gives channels to those who wait longest, and sees to the next ones.
    pub(super) fn hand_out(&mut self) {
        let home = self.shared.driver.downgrade();
        for member in &mut self.members {
            self.spares_die |= member.forget_dead_spares();
            member.serve_urgent(&home);
        }
        self.waiting.retain(|waiting| !waiting.reply.is_closed());
        self.bulk.retain(|waiting| !waiting.reply.is_closed());
        self.hand_out_bulk(&home);
        while let Some(wanted) = self.waiting.pop_front() {
            let members = preferred(&mut self.members).into_iter();
            let given = members.into_iter().find_map(|member| {
                let spare = member.spare()?;
                Some((member, spare))
            });
            match given {
                Some((member, spare)) => member.give(spare, wanted, &home),
                None => {
                    self.waiting.push_front(wanted);
                    break;
                }
            }
        }
        // What is too much is let go of. One channel is kept ready for the whole session.
        let mut ahead = 1;
        for member in preferred(&mut self.members) {
            ahead -= member.trim(ahead);
        }
        self.open_more();
    }

    /// Takes a caller in: a transfer that is worth it waits for a link of its own.
    pub(super) fn queue(&mut self, wanted: Wanted) {
        let links = self.members.len();
        let apart = links > 1 || self.further.is_under_way() || self.further.may(links);
        let round_trip = self.round_trip();
        if apart && wanted.lane.is_worth(self.further.took(), round_trip) {
            self.bulk.push_back(wanted);
        } else {
            self.waiting.push_back(wanted);
        }
    }

    /// How long the way to the host and back takes, once that is known.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.members.iter().filter_map(Member::round_trip).min()
    }

    /// Gives transfers channels of a link of their own; where none is to be had, they wait with the
    /// others.
    fn hand_out_bulk(&mut self, home: &Home) {
        while let Some(wanted) = self.bulk.pop_front() {
            let Some(member) = self.apart() else {
                let may = self.further.may(self.members.len()) && !self.further.pauses();
                if may {
                    self.log_in();
                }
                if may || self.further.is_under_way() {
                    self.bulk.push_front(wanted);
                    return;
                }
                let earlier = |other: &Wanted| other.since <= wanted.since;
                let place = self.waiting.partition_point(earlier);
                self.waiting.insert(place, wanted);
                continue;
            };
            match member.spare() {
                Some(spare) => member.give(spare, wanted, home),
                None => {
                    if member.supply() == 0 {
                        member.open();
                    }
                    self.bulk.push_front(wanted);
                    return;
                }
            }
        }
    }

    /// The link for transfers: never the first one, and one on which others work only where no
    /// further one may be had.
    fn apart(&mut self) -> Option<&mut Member> {
        let links = self.members.len();
        let may = self.further.may(links) && !self.further.pauses();
        let more = may || self.further.is_under_way();
        let others = self.members.iter_mut().skip(1);
        let best = others
            .filter(|member| member.has_place())
            .min_by_key(|member| (!member.has_bulk(), member.in_use()))?;
        (best.has_bulk() || best.in_use() == 0 || !more).then_some(best)
    }

    /// When to look after the number of links.
    pub(super) fn wake_at(&mut self) -> Option<Instant> {
        let spread = self.spread_at();
        let further = self.members.iter_mut().skip(1);
        let idle = further.filter_map(|member| member.unused_until(IDLE)).min();
        spread.into_iter().chain(idle).min()
    }

    /// When to log in once more for those who wait: where the links are known to be full, once the
    /// first of them has waited as long as a login takes.
    fn spread_at(&self) -> Option<Instant> {
        let first = self.waiting.front()?;
        let supply: usize = self.members.iter().map(Member::supply).sum();
        let full = supply < self.waiting.len() && !self.members.iter().any(Member::has_room);
        let may = full && self.further.may(self.members.len());
        may.then(|| self.further.worth_at(first.since))
    }

    /// Logs in once more where it is time to, and parts with further links that nobody uses.
    pub(super) fn tend(&mut self) {
        let now = Instant::now();
        if self.spread_at().is_some_and(|time| time <= now) {
            self.log_in();
        }
        let further = self.members.iter_mut().skip(1);
        let unused = further.filter_map(|member| {
            let until = member.unused_until(IDLE)?;
            (until <= now).then_some(member.id)
        });
        for link in unused.collect::<Vec<_>>() {
            self.part_with(link);
        }
        self.hand_out();
    }

    fn log_in(&mut self) {
        self.further.begin(self.shared.via());
    }

    /// Says good-bye to one link of several.
    fn part_with(&mut self, link: LinkId) {
        if let Some(index) = self.members.iter().position(|member| member.id == link) {
            let member = self.members.remove(index);
            self.farewells.push(Box::pin(member.disconnect()));
        }
    }

    /// The server grants nothing on a link on which nothing runs, or no longer answers.
    pub(super) fn hopeless(&mut self, link: LinkId, why: Error) {
        let error = why.with_host(&self.shared.host.name);
        if self.members.len() == 1 {
            self.settle(&error);
            return;
        }
        if self.members[0].id == link {
            // Ways to other hosts may lead over it.
            self.members[0].rest();
        } else {
            self.further.failed(&error);
            self.part_with(link);
        }
        self.hand_out();
    }

    /// Opens channels for those who wait, and some ahead: one, so that the next command costs one
    /// round trip, and one for each link with commands that may have to be ended.
    fn open_more(&mut self) {
        let wanted = self.waiting.len() + usize::from(!self.spares_die);
        for member in &mut self.members {
            member.open_for_signals();
        }
        let mut members = preferred(&mut self.members);
        let mut supply: usize = members.iter().map(|member| member.supply()).sum();
        while supply < wanted
            && let Some(member) = members.iter_mut().find(|member| member.may_open())
        {
            member.open();
            supply += 1;
        }
        let full = !self.members.iter().any(Member::has_room);
        let short = full && supply < self.waiting.len();
        if short || self.members.iter().any(Member::is_short_for_signals) {
            self.shared.short.notify_one();
        }
    }
}
