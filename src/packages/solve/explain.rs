//! Explains in words why a request cannot be met.
//!
//! The solver only says that there is no way. The way to *say* why is unit propagation from what is asked for: whatever has only one
//! candidate must be there, whatever it forbids must not; sooner or later a need has no candidate left. Breadth first, so the first
//! contradiction is one of the nearest. Where nothing is left to conclude, the need with the fewest candidates is tried with each of them.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};

use super::super::model::{Need, PackageId};
use super::asked::Choice;
use super::index::{Forbids, Index};
use super::order;
use super::words::{Reason, Words};

/// Candidates for one need that are explained one by one. More lines would not help the reader.
const CANDIDATES: usize = 3;
/// The steps from the request down to the obstacle.
const STEPS: usize = 16;
/// Cases looked at before the explanation becomes "there is no way to have all of these".
const CASES: u32 = 60;

/// Why a package cannot be there.
#[derive(Debug, Clone, Copy)]
enum Ban<'u> {
    /// It needs this, and no package that can be there meets it.
    Need(&'u Need),
    /// One that must be there forbids it.
    ForbiddenBy(PackageId, Forbids<'u>),
    /// It forbids one that must be there.
    Forbids(PackageId, Forbids<'u>),
    /// Another of its name must be there.
    OtherVersion(PackageId),
}

/// Why a package must be there. When none can, this is the contradiction.
#[derive(Debug, Clone, Copy)]
enum Want<'u> {
    /// One of the choices.
    Asked(usize),
    /// A need of a package that must be there.
    Needed(PackageId, &'u Need),
    /// The case that is being looked at.
    Case(PackageId),
}

/// What has been concluded.
#[derive(Clone)]
struct State<'u> {
    there: Vec<Option<Want<'u>>>,
    banned: Vec<Option<Ban<'u>>>,
    /// Packages that must be there and whose needs have not been looked at.
    queue: VecDeque<PackageId>,
    /// Wants that no package meets which must be there, as far as that is known.
    open: Vec<Want<'u>>,
}

pub(super) struct Explainer<'e, 'u> {
    index: &'e Index<'u>,
    words: Words<'e, 'u>,
    choices: &'e [Choice],
    settled: &'e [bool],
    cases: u32,
    /// Needs that were followed, and whether the only obstacle is that something is in no repository.
    told: RefCell<HashMap<&'u Need, bool>>,
}

impl<'e, 'u> Explainer<'e, 'u> {
    pub(super) fn new(index: &'e Index<'u>, patterns: &'e [String], choices: &'e [Choice], settled: &'e [bool]) -> Self {
        Self { index, words: Words { index, patterns }, choices, settled, cases: CASES, told: RefCell::default() }
    }

    /// Why some choices cannot be there at all, whatever the others are.
    pub(super) fn each_alone(&self) -> Vec<Reason> {
        let state = self.state();
        let dead = |choice: &Choice| choice.candidates.iter().all(|id| state.banned[id.index()].is_some());
        let impossible = (0..self.choices.len()).filter(|nth| dead(&self.choices[*nth]));
        impossible.map(|nth| self.in_vain(&state, Want::Asked(nth))).collect()
    }

    /// Packages that cannot be there in any case, by [`PackageId`].
    pub(super) fn impossible(&self) -> Vec<bool> {
        self.state().banned.iter().map(Option::is_some).collect()
    }

    /// Why the choices cannot be there together.
    pub(super) fn together(&mut self) -> Reason {
        let state = self.state();
        self.refute(state, None).unwrap_or_else(|| {
            let all: Vec<&str> = self.choices.iter().map(|choice| choice.text.as_str()).collect();
            Reason::of(format!("there is no way to have all of these together: {}", all.join(", ")))
        })
    }

    /// The first state: only the packages are banned that cannot be there in any case.
    fn state(&self) -> State<'u> {
        let count = self.index.universe.packages.len();
        let open = (0..self.choices.len()).map(Want::Asked).collect();
        let mut state = State { there: vec![None; count], banned: vec![None; count], queue: VecDeque::new(), open };
        self.ban_the_impossible(&mut state);
        state
    }

    /// Ban every package that has a need which cannot be met; those with the shortest way to it first.
    fn ban_the_impossible(&self, state: &mut State<'u>) {
        let mut needs: Vec<(PackageId, &'u Need, usize)> = Vec::new();
        let mut met_by: Vec<Vec<usize>> = vec![Vec::new(); state.banned.len()];
        let mut in_vain = VecDeque::new();
        for id in self.index.reachable(self.choices.iter().flat_map(|choice| choice.candidates.iter().copied())) {
            for need in self.index.needs(id) {
                let mut meeting: Vec<PackageId> = self.index.who_may_meet(need).collect();
                meeting.sort_unstable();
                meeting.dedup();
                meeting.iter().for_each(|id| met_by[id.index()].push(needs.len()));
                if meeting.is_empty() {
                    in_vain.push_back(needs.len());
                }
                needs.push((id, need, meeting.len()));
            }
        }
        while let Some(nth) = in_vain.pop_front() {
            let (id, need, _) = needs[nth];
            if state.banned[id.index()].is_none() {
                state.banned[id.index()] = Some(Ban::Need(need));
                for nth in &met_by[id.index()] {
                    needs[*nth].2 -= 1;
                    if needs[*nth].2 == 0 {
                        in_vain.push_back(*nth);
                    }
                }
            }
        }
    }

    fn candidates(&self, want: Want<'u>) -> Vec<PackageId> {
        match want {
            Want::Asked(nth) => self.choices[nth].candidates.clone(),
            Want::Needed(id, need) => order::candidates(self.index, Some(id), self.settled, need),
            Want::Case(id) => vec![id],
        }
    }

    /// Draw conclusions from `case` being there until there is a contradiction. `None` when there is none, or when it takes too many cases.
    fn refute(&mut self, mut state: State<'u>, case: Option<PackageId>) -> Option<Reason> {
        if let Some(id) = case {
            state.there[id.index()] = Some(Want::Case(id));
            state.queue.push_back(id);
        }
        match self.conclude(&mut state) {
            Some(want) => Some(self.in_vain(&state, want)),
            None => self.by_cases(state),
        }
    }

    fn conclude(&self, state: &mut State<'u>) -> Option<Want<'u>> {
        loop {
            while let Some(id) = state.queue.pop_front() {
                state.open.extend(self.index.needs(id).map(|need| Want::Needed(id, need)));
                let beside: Vec<_> = self.beside(id).collect();
                for (other, ban) in beside {
                    state.banned[other.index()].get_or_insert(ban);
                    if let Some(want) = state.there[other.index()] {
                        return Some(want);
                    }
                }
                if let (Some(_), Some(want)) = (state.banned[id.index()], state.there[id.index()]) {
                    return Some(want);
                }
            }
            let open = self.open(state);
            for candidate in open.iter().flat_map(|(_, live)| live) {
                if let Some((other, how)) = self.forbids_one_there(state, *candidate) {
                    state.banned[candidate.index()] = Some(Ban::Forbids(other, how));
                }
            }
            let mut any = false;
            for (want, mut live) in open {
                live.retain(|id| state.banned[id.index()].is_none());
                match live[..] {
                    [] => return Some(want),
                    [only] if state.there[only.index()].is_none() => {
                        state.there[only.index()] = Some(want);
                        state.queue.push_back(only);
                        any = true;
                    }
                    _ => {}
                }
            }
            if !any {
                return None;
            }
        }
    }

    /// The packages that cannot be there together with `id`.
    fn beside(&self, id: PackageId) -> impl Iterator<Item = (PackageId, Ban<'u>)> {
        let forbidden = self.index.forbids(id).into_iter().map(move |(other, how)| (other, Ban::ForbiddenBy(id, how)));
        let named = self.index.named(self.index.universe.package(id).name).iter().copied();
        let others = named.filter(move |other| self.index.same_place(id, *other));
        forbidden.chain(others.map(move |other| (other, Ban::OtherVersion(id))))
    }

    /// Wants that no package meets which must be there, with the packages that still can.
    fn open(&self, state: &mut State<'u>) -> Vec<(Want<'u>, Vec<PackageId>)> {
        let mut open = Vec::new();
        for want in std::mem::take(&mut state.open) {
            let mut live = self.candidates(want);
            live.retain(|id| state.banned[id.index()].is_none());
            if !live.iter().any(|id| state.there[id.index()].is_some()) {
                state.open.push(want);
                open.push((want, live));
            }
        }
        open
    }

    fn forbids_one_there(&self, state: &State<'u>, id: PackageId) -> Option<(PackageId, Forbids<'u>)> {
        self.index.forbids(id).into_iter().find(|(other, _)| state.there[other.index()].is_some())
    }

    /// Each candidate of the need that has the fewest leads to a contradiction of its own.
    fn by_cases(&mut self, mut state: State<'u>) -> Option<Reason> {
        let (want, live) = self.open(&mut state).into_iter().min_by_key(|(_, live)| live.len())?;
        let mut because = Vec::new();
        for candidate in live {
            self.cases = self.cases.checked_sub(1)?;
            because.push(self.refute(state.clone(), Some(candidate))?);
        }
        Some(self.under(&state, want, because, STEPS))
    }

    /// Why no package can meet what is wanted.
    fn in_vain(&self, state: &State<'u>, want: Want<'u>) -> Reason {
        if let Want::Case(id) = want {
            return self.each_in_vain(state, &[id], &mut Vec::new()).pop().unwrap_or_else(|| Reason::of(self.words.case(id)));
        }
        let mut path = Vec::new();
        if let Want::Needed(id, _) = want {
            path.push(id);
        }
        let because = self.all_in_vain(state, want, &mut path);
        self.under(state, want, because, STEPS)
    }

    fn all_in_vain(&self, state: &State<'u>, want: Want<'u>, path: &mut Vec<PackageId>) -> Vec<Reason> {
        match (&self.candidates(want)[..], want) {
            ([], Want::Needed(_, need)) => need.alternatives().iter().map(|wanted| self.words.nobody_meets(wanted)).collect(),
            (candidates, _) => self.each_in_vain(state, candidates, path),
        }
    }

    /// The reasons why candidates cannot be there, for the first few of them. A reason that was given before is not repeated.
    fn each_in_vain(&self, state: &State<'u>, candidates: &[PackageId], path: &mut Vec<PackageId>) -> Vec<Reason> {
        let banned = |id: &PackageId| state.banned[id.index()].map(|ban| (*id, ban));
        let in_vain: Vec<(PackageId, Ban<'u>)> = candidates.iter().filter(|id| !path.contains(id)).filter_map(banned).collect();
        let mut reasons: Vec<Reason> = Vec::new();
        for (id, ban) in in_vain.iter().take(CANDIDATES) {
            path.push(*id);
            reasons.push(self.ban(state, *id, *ban, path));
            path.pop();
        }
        if in_vain.len() > CANDIDATES {
            let more = format!("and {} more", in_vain.len() - CANDIDATES);
            reasons.push(if reasons.iter().all(Reason::is_lack) { Reason::nowhere(more) } else { Reason::of(more) });
        }
        reasons.dedup();
        reasons
    }

    fn ban(&self, state: &State<'u>, id: PackageId, ban: Ban<'u>, path: &mut Vec<PackageId>) -> Reason {
        let (text, other) = match ban {
            Ban::Need(need) => {
                let text = self.words.needs(id, need);
                let told = self.told.borrow().get(need).copied();
                if let Some(is_lack) = told {
                    return if is_lack { Reason::nowhere(text) } else { Reason::of(text) };
                }
                self.told.borrow_mut().insert(need, false);
                let because = match path.len() < STEPS {
                    true => self.all_in_vain(state, Want::Needed(id, need), path),
                    false => vec![Reason::of("and so on".to_owned())],
                };
                let reason = Reason::with(text, because);
                self.told.borrow_mut().insert(need, reason.is_lack());
                return reason;
            }
            Ban::ForbiddenBy(other, how) => (self.words.forbids(other, how, id), other),
            Ban::Forbids(other, how) => (self.words.forbids(id, how, other), other),
            Ban::OtherVersion(other) => (self.words.other_version(id, other), other),
        };
        Reason::with(text, self.why_there(state, other))
    }

    /// Why a package must be there, from what was asked for down to it.
    fn why_there(&self, state: &State<'u>, id: PackageId) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next.filter(|_| reasons.len() < STEPS) {
            match state.there[id.index()] {
                Some(Want::Asked(nth)) => {
                    reasons.push(Reason::of(self.words.is_asked(id, &self.choices[nth])));
                    next = None;
                }
                Some(Want::Needed(by, need)) => {
                    reasons.push(Reason::of(self.words.needs_it(by, need, id)));
                    next = Some(by);
                }
                Some(Want::Case(_)) | None => next = None,
            }
        }
        reasons.reverse();
        reasons
    }

    /// `because` as the reason under what is wanted. That in turn becomes a reason under what brings in its requirer, beside the reasons
    /// why no other package will do there.
    fn under(&self, state: &State<'u>, want: Want<'u>, because: Vec<Reason>, steps: usize) -> Reason {
        let (id, text) = match want {
            Want::Asked(nth) => return Reason::with(self.words.asked(&self.choices[nth]), because),
            Want::Needed(id, need) => (id, self.words.needs(id, need)),
            Want::Case(id) => (id, self.words.case(id)),
        };
        let reason = Reason::with(text, because);
        let Some(above @ (Want::Asked(_) | Want::Needed(..))) = state.there[id.index()].filter(|_| steps > 0) else { return reason };
        let mut because = Vec::new();
        for candidate in self.candidates(above) {
            if candidate == id {
                because.push(reason.clone());
            } else {
                because.extend(self.each_in_vain(state, &[candidate], &mut vec![id]));
            }
        }
        self.under(state, above, because, steps - 1)
    }
}
